//! Follows the requests of a story: keeps the book from which their lives are made ([`crate::run::life`]).
//!
//! Code says what begins now (`begin`); it need not say what ends. The task of a request carries its `Ticket`; a message carries it to the host
//! that answers, beside the simulated network and not in it: what is followed changes no event of the run.
//!
//! `http` and `dns` mark connections, questions, answers, and what nobody answered, for every story that uses them. A story
//! adds its own queues and its work.

use crate::host::Host;
use crate::host::link::Flow;
use crate::run::life::{Life, Part, Span};
use crate::trace::HostId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

/// A request, and which of its tries a task works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    life: usize,
    leg: usize,
}

/// What connects a question with the host that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wire {
    /// A byte stream, with one question at a time.
    Stream(Flow),
    /// A datagram socket that asks one question.
    Port(HostId, u16),
}

/// What begins at an instant.
#[derive(Debug, Clone)]
struct Mark {
    t_ns: u64,
    part: Part,
    what: String,
    /// How long it takes at least, if that is known: the distance. What it takes longer was lost.
    least_ns: u64,
    /// Shown even if it takes no time.
    is_note: bool,
}

/// A question that waits for its answer, and the one in whose course it is asked.
#[derive(Debug, Clone, Copy)]
struct LegState {
    within: Option<usize>,
    is_open: bool,
}

#[derive(Default)]
struct Open {
    at_ns: u64,
    ended_ns: Option<u64>,
    served: Option<bool>,
    marks: Vec<Mark>,
}

/// The requests of one world.
#[derive(Default)]
struct Book {
    lives: Vec<Open>,
    legs: Vec<LegState>,
    under_way: BTreeMap<Wire, Ticket>,
}

thread_local! {
    // A world runs on one thread, and a thread runs one world at a time.
    static BOOK: RefCell<Book> = RefCell::default();
}

tokio::task_local! {
    static TICKET: Ticket;
}

/// Begins an empty book, for a world that is about to run on this thread.
pub(super) fn open_book() {
    BOOK.with(|book| book.take());
}

/// The requests of the world that ran on this thread. `slack_ns`: what rounding to steps adds to a distance at most.
pub(super) fn close_book(slack_ns: u64) -> Vec<Life> {
    BOOK.with(|book| book.take()).lives.into_iter().map(|open| open.closed(slack_ns)).collect()
}

/// The request that the running task works for, if it works for one.
pub(super) fn ticket() -> Option<Ticket> {
    TICKET.try_with(|ticket| *ticket).ok()
}

/// Follows a request from now until its future ends.
pub(super) async fn follow<F: Future>(host: Host, request: F) -> F::Output {
    let at_ns = host.now_ns();
    let ticket = BOOK.with_borrow_mut(|book| {
        book.legs.push(LegState { within: None, is_open: true });
        book.lives.push(Open { at_ns, ..Open::default() });
        Ticket { life: book.lives.len() - 1, leg: book.legs.len() - 1 }
    });
    ticket.begin(at_ns, Part::Idle, &at(&host));
    let output = TICKET.scope(ticket, request).await;
    let ended_ns = host.now_ns();
    BOOK.with_borrow_mut(|book| {
        if let Some(open) = book.lives.get_mut(ticket.life) {
            open.ended_ns = Some(ended_ns);
        }
        if let Some(leg) = book.legs.get_mut(ticket.leg) {
            leg.is_open = false;
        }
    });
    output
}

fn at(host: &Host) -> String {
    format!("at {}", host.name())
}

/// Says of the running task's request what begins now.
pub(super) fn begin(host: &Host, part: Part, what: &str) {
    ticket().into_iter().for_each(|ticket| ticket.begin(host.now_ns(), part, what));
}

/// Says of the running task's request what takes no time and is worth knowing: which cache knew.
pub(super) fn note(host: &Host, part: Part, what: &str) {
    ticket().into_iter().for_each(|ticket| ticket.note(host.now_ns(), part, what));
}

/// Says whether the running task's request was served.
pub(super) fn served(served: bool) {
    let Some(ticket) = ticket() else { return };
    BOOK.with_borrow_mut(|book| {
        book.lives.get_mut(ticket.life).into_iter().for_each(|open| open.served = Some(served));
    });
}

impl Ticket {
    /// What begins at an instant, which may be a later one: work is booked ahead.
    pub fn begin(self, t_ns: u64, part: Part, what: &str) {
        self.mark(Mark { t_ns, part, what: what.into(), least_ns: 0, is_note: false });
    }

    fn note(self, t_ns: u64, part: Part, what: &str) {
        self.mark(Mark { t_ns, part, what: what.into(), least_ns: 0, is_note: true });
    }

    /// A task that works for a try which was given up says nothing more about the request.
    fn mark(self, mark: Mark) {
        BOOK.with_borrow_mut(|book| {
            if !book.is_open(self.leg) {
                return;
            }
            let Some(Open { marks, .. }) = book.lives.get_mut(self.life) else { return };
            // What was booked ahead does not come any more.
            while marks.last().is_some_and(|last| last.t_ns > mark.t_ns) {
                marks.pop();
            }
            marks.push(mark);
        });
    }
}

impl Book {
    fn is_open(&self, leg: usize) -> bool {
        let mut leg = Some(leg);
        while let Some(LegState { within, is_open }) = leg.and_then(|leg| self.legs.get(leg)) {
            if !is_open {
                return false;
            }
            leg = *within;
        }
        true
    }
}

/// A question of the running task's request that waits for its answer. Dropped before it is answered, it was given up.
pub(super) struct Leg {
    host: Host,
    ticket: Option<Ticket>,
    wire: Option<Wire>,
    is_answered: bool,
}

impl Leg {
    /// A message leaves now and takes `least_ns` if nothing happens to it. Who answers on `wire` works for the request.
    pub fn begin(host: &Host, wire: Option<Wire>, what: &str, least_ns: u64) -> Leg {
        let ticket = ticket().map(|outer| {
            let ticket = BOOK.with_borrow_mut(|book| {
                book.legs.push(LegState { within: Some(outer.leg), is_open: true });
                let ticket = Ticket { life: outer.life, leg: book.legs.len() - 1 };
                book.under_way.extend(wire.map(|wire| (wire, ticket)));
                ticket
            });
            let (t_ns, part) = (host.now_ns(), Part::Distance);
            ticket.mark(Mark { t_ns, part, what: what.into(), least_ns, is_note: false });
            ticket
        });
        Leg { host: host.clone(), ticket, wire, is_answered: false }
    }

    /// The answer is here.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let t_ns = self.host.now_ns();
        if !self.is_answered {
            BOOK.with_borrow_mut(|book| {
                let is_open = book.is_open(ticket.leg);
                let last = book.lives.get_mut(ticket.life).and_then(|open| open.marks.last_mut());
                // It did not arrive, or its answer did not.
                if let Some(last) = last.filter(|last| is_open && last.part == Part::Distance && last.t_ns < t_ns) {
                    last.part = Part::Lost;
                    last.what.push_str(": nothing came, given up");
                }
            });
        }
        ticket.begin(t_ns, Part::Idle, &at(&self.host));
        BOOK.with_borrow_mut(|book| {
            if let Some(leg) = book.legs.get_mut(ticket.leg) {
                leg.is_open = false;
            }
            book.under_way.retain(|wire, _| Some(*wire) != self.wire);
        });
    }
}

/// Answers what came over `wire`: the handler, also its part that does not wait, works for the request that asks.
/// `back_ns`: how long the answer takes at least.
pub(super) fn answering<F>(
    host: &Host,
    wire: Wire,
    back_ns: u64,
    handler: impl FnOnce() -> F,
) -> Pin<Box<dyn Future<Output = F::Output>>>
where
    F: Future + 'static,
{
    let ticket = BOOK.with_borrow(|book| book.under_way.get(&wire).copied());
    let working = match ticket {
        Some(ticket) => {
            ticket.begin(host.now_ns(), Part::Processing, &format!("{} works", host.name()));
            TICKET.sync_scope(ticket, handler)
        }
        None => handler(),
    };
    let host = host.clone();
    Box::pin(async move {
        let Some(ticket) = ticket else { return working.await };
        let answer = TICKET.scope(ticket, working).await;
        let what = format!("the answer from {}", host.name());
        ticket.mark(Mark { t_ns: host.now_ns(), part: Part::Distance, what, least_ns: back_ns, is_note: false });
        answer
    })
}

impl Open {
    fn closed(self, slack_ns: u64) -> Life {
        let ended_ns = self.ended_ns;
        let last_ns = ended_ns.unwrap_or_else(|| self.marks.last().map_or(self.at_ns, |mark| mark.t_ns));
        let ends = self.marks.iter().skip(1).map(|mark| mark.t_ns).chain([last_ns]).collect::<Vec<_>>();
        let mut spans = Vec::new();
        for (mark, until_ns) in self.marks.into_iter().zip(ends) {
            let until_ns = until_ns.min(last_ns);
            let Mark { t_ns: from_ns, part, what, least_ns, is_note } = mark;
            let longest_ns = least_ns + slack_ns;
            if part == Part::Distance && least_ns > 0 && until_ns.saturating_sub(from_ns) > longest_ns {
                let late = format!("{what}: lost and sent again, or held up");
                spans.push(Span { part: Part::Lost, what: late, from_ns, until_ns: until_ns - longest_ns });
                spans.push(Span { part, what, from_ns: until_ns - longest_ns, until_ns });
            } else if from_ns < until_ns || (is_note && from_ns == until_ns) {
                spans.push(Span { part, what, from_ns, until_ns });
            }
        }
        Life { at_ns: self.at_ns, ended_ns, served: self.served, spans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(ended_ns: Option<u64>, marks: &[(u64, Part, u64)]) -> Life {
        let mark = |(t_ns, part, least_ns): &(u64, Part, u64)| {
            let (t_ns, part, least_ns) = (*t_ns, *part, *least_ns);
            Mark { t_ns, part, what: format!("{part:?}"), least_ns, is_note: false }
        };
        Open { at_ns: 10, ended_ns, served: None, marks: marks.iter().map(mark).collect() }.closed(2)
    }

    fn spans(life: &Life) -> Vec<(Part, u64, u64)> {
        life.spans.iter().map(|span| (span.part, span.from_ns, span.until_ns)).collect()
    }

    #[test]
    fn each_span_begins_where_the_one_before_it_ends() {
        let life = marked(Some(50), &[(10, Part::Idle, 0), (10, Part::Distance, 19), (30, Part::Queueing, 0)]);
        assert_eq!(spans(&life), [(Part::Distance, 10, 30), (Part::Queueing, 30, 50)]);
        let cut_short = marked(None, &[(10, Part::Distance, 5), (16, Part::Queueing, 0)]);
        assert_eq!((spans(&cut_short), cut_short.ended_ns), (vec![(Part::Distance, 10, 16)], None));
    }

    #[test]
    fn what_a_distance_takes_longer_was_lost() {
        let life = marked(Some(230), &[(10, Part::Distance, 18)]);
        assert_eq!(spans(&life), [(Part::Lost, 10, 210), (Part::Distance, 210, 230)]);
    }

    #[test]
    fn work_that_was_booked_and_is_given_up_does_not_come() {
        open_book();
        BOOK.with_borrow_mut(|book| {
            book.legs = vec![LegState { within: None, is_open: true }, LegState { within: Some(0), is_open: true }];
            book.lives.push(Open { at_ns: 0, ended_ns: Some(40), ..Open::default() });
        });
        let (client, server) = (Ticket { life: 0, leg: 0 }, Ticket { life: 0, leg: 1 });
        server.begin(0, Part::Queueing, "queue");
        server.begin(90, Part::Processing, "work");
        client.begin(30, Part::Idle, "gives up");
        BOOK.with_borrow_mut(|book| book.legs[1].is_open = false);
        server.begin(35, Part::Processing, "too late");
        let lives = close_book(0);
        assert_eq!(spans(&lives[0]), [(Part::Queueing, 0, 30), (Part::Idle, 30, 40)]);
    }
}
