//! Two stacks and a wire between them, without a simulator.

use super::record::{Event, Failure, Id};
use super::segment::Segment;
use super::stack::Stack;
use super::{DUPLICATE_ACKS, RTO, Settings, State};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 80;
/// One way.
const LATENCY_NS: u64 = 20 * MS;
const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

type Loses = Box<dyn FnMut(u64, &Segment) -> bool>;

/// A client, a server, and what is under way between them.
struct Pair {
    now_ns: u64,
    client: Stack,
    server: Stack,
    under_way: BTreeMap<(u64, u64), (Ipv4Addr, Vec<u8>)>,
    sent: u64,
    /// Whether a segment is lost, by its time.
    loses: Loses,
}

impl Pair {
    fn new(change: impl Fn(&mut Settings)) -> Pair {
        let mut settings = Settings { is_logged: true, ..Settings::default() };
        change(&mut settings);
        let mut server = Stack::new(SERVER, settings.clone(), 2);
        server.listen(PORT);
        let client = Stack::new(CLIENT, settings, 1);
        Pair { now_ns: S, client, server, under_way: BTreeMap::new(), sent: 0, loses: Box::new(|_, _| false) }
    }

    fn losing(mut self, loses: impl FnMut(u64, &Segment) -> bool + 'static) -> Pair {
        self.loses = Box::new(loses);
        self
    }

    fn flush(&mut self) {
        for (to, packet) in [self.client.take_outgoing(), self.server.take_outgoing()].concat() {
            if !(self.loses)(self.now_ns, &Segment::read(&packet).unwrap()) {
                self.sent += 1;
                self.under_way.insert((self.now_ns + LATENCY_NS, self.sent), (to, packet));
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, span_ns: u64) {
        let until_ns = self.now_ns + span_ns;
        self.flush();
        loop {
            let arrives = self.under_way.keys().next().map(|(at_ns, _)| *at_ns);
            let next = [arrives, self.client.next_ns(), self.server.next_ns()].into_iter().flatten().min();
            let Some(next_ns) = next.filter(|next_ns| *next_ns <= until_ns) else { break };
            self.now_ns = next_ns;
            while let Some(first) = self.under_way.first_entry().filter(|first| first.key().0 <= next_ns) {
                let (to, packet) = first.remove();
                let stack = if to == CLIENT { &mut self.client } else { &mut self.server };
                stack.receive(next_ns, &packet);
                self.flush();
            }
            self.client.poll(next_ns);
            self.server.poll(next_ns);
            self.flush();
        }
        self.now_ns = until_ns;
    }

    fn connect(&mut self) -> Id {
        self.client.connect(self.now_ns, (SERVER, PORT)).unwrap()
    }

    /// A connection, and its other end.
    fn connected(&mut self) -> (Id, Id) {
        let id = self.connect();
        self.run(3 * LATENCY_NS);
        assert_eq!(self.client.opened(id), Some(Ok(())));
        (id, self.server.accept(PORT).unwrap())
    }
}

fn states(stack: &Stack, of: Id) -> Vec<State> {
    let became = stack.log().iter().filter(|entry| entry.id == of).filter_map(|entry| match entry.event {
        Event::Became(state) => Some(state),
        _ => None,
    });
    became.collect()
}

/// When a connection sent which segments, in milliseconds after the first.
fn sent(stack: &Stack, of: Id) -> Vec<(u64, String)> {
    let sent = stack.log().iter().filter(|entry| entry.id == of).filter_map(|entry| match entry.event {
        Event::Sent(segment) => Some((entry.at_ns, segment.to_string())),
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    let first_ns = sent[0].0;
    sent.into_iter().map(|(at_ns, words)| ((at_ns - first_ns) / MS, words)).collect()
}

#[test]
fn a_connection_is_opened_used_and_closed_and_remembered_by_who_closed_first() {
    let mut pair = Pair::new(|settings| settings.time_wait = Duration::from_secs(20));
    let (near, far) = pair.connected();
    assert_eq!(pair.client.write(pair.now_ns, near, b"hello"), Some(Ok(5)));
    pair.run(LATENCY_NS);
    assert_eq!(pair.server.read(pair.now_ns, far), Some(Ok(b"hello".to_vec())));
    pair.client.close(pair.now_ns, near);
    pair.run(LATENCY_NS);
    assert_eq!(pair.server.read(pair.now_ns, far), Some(Ok(Vec::new())), "the end");
    assert_eq!(pair.server.write(pair.now_ns, far, b"bye"), Some(Ok(3)), "the other direction is still open");
    pair.server.close(pair.now_ns, far);
    pair.run(4 * LATENCY_NS);
    assert_eq!(pair.client.read(pair.now_ns, near), Some(Ok(b"bye".to_vec())));
    assert_eq!((pair.client.in_state(State::TimeWait), pair.server.in_state(State::TimeWait)), (1, 0));
    // Longer than smoltcp's own ten seconds.
    pair.run(19 * S);
    assert_eq!(pair.client.in_state(State::TimeWait), 1);
    pair.run(2 * S);
    assert_eq!(pair.client.in_state(State::TimeWait), 0);
    use State::*;
    assert_eq!(states(&pair.client, near), [SynSent, Established, FinWait1, FinWait2, TimeWait, Closed]);
    assert_eq!(states(&pair.server, far), [SynReceived, Established, CloseWait, LastAck, Closed]);
}

#[test]
fn silence_refusal_and_reset_are_different_failures_at_different_times() {
    let mut pair = Pair::new(|settings| settings.syn_retries = 3).losing(|_, segment| segment.to.0 == SERVER);
    let id = pair.connect();
    pair.run(15 * S - MS);
    assert_eq!(pair.client.opened(id), None, "2^(r+1) - 1 times the time-out");
    pair.run(2 * MS);
    assert_eq!(pair.client.opened(id), Some(Err(Failure::TimedOut)));
    let syns = sent(&pair.client, id);
    assert_eq!(syns, [0, 1, 3, 7].map(|n| (n * RTO.as_millis() as u64, "SYN".to_string())), "and nothing more");

    let mut pair = Pair::new(|_| {});
    let id = pair.client.connect(pair.now_ns, (SERVER, 81)).unwrap();
    pair.run(2 * LATENCY_NS);
    assert_eq!(pair.client.opened(id), Some(Err(Failure::Refused)));

    let (near, far) = pair.connected();
    pair.server.abort(pair.now_ns, far);
    pair.run(LATENCY_NS);
    assert_eq!(pair.client.read(pair.now_ns, near), Some(Err(Failure::Reset)));
    assert_eq!((pair.client.in_state(State::TimeWait), pair.server.in_state(State::TimeWait)), (0, 0));
}

#[test]
fn a_machine_that_comes_back_knows_nothing_and_says_so_only_when_asked() {
    let mut pair = Pair::new(|_| {});
    let (near, _) = pair.connected();
    pair.server = Stack::new(SERVER, Settings::default(), 3);
    pair.server.listen(PORT);
    pair.run(3600 * S);
    assert_eq!((pair.client.state(near), pair.client.read(pair.now_ns, near)), (State::Established, None), "half open");
    pair.client.write(pair.now_ns, near, b"are you there?").unwrap().unwrap();
    pair.run(2 * LATENCY_NS);
    assert_eq!(pair.client.read(pair.now_ns, near), Some(Err(Failure::Reset)));
    assert_eq!(pair.client.write(pair.now_ns, near, b"?"), Some(Err(Failure::Reset)));
}

#[test]
fn an_idle_connection_is_probed_until_probes_go_unanswered() {
    let probing = |settings: &mut Settings| settings.keep_alive = Some((Duration::from_secs(5), 3));
    let mut pair = Pair::new(probing).losing(|at_ns, _| at_ns > 60 * S);
    let (near, _) = pair.connected();
    pair.run(50 * S);
    assert_eq!(pair.client.state(near), State::Established);
    // Three probes after the last that was answered, and a fourth that is not sent any more.
    pair.run(35 * S);
    assert_eq!(pair.client.read(pair.now_ns, near), Some(Err(Failure::TimedOut)));
}

#[test]
fn what_is_lost_is_sent_again_after_a_time_out_or_three_acknowledgements_of_the_same() {
    let mut lost = false;
    let mut pair =
        Pair::new(|_| {}).losing(move |_, segment| segment.bytes == 1 && !std::mem::replace(&mut lost, true));
    let (near, far) = pair.connected();
    pair.client.write(pair.now_ns, near, b"x").unwrap().unwrap();
    pair.run(RTO.as_nanos() as u64 + LATENCY_NS - MS);
    assert_eq!(pair.server.read(pair.now_ns, far), None);
    pair.run(2 * MS);
    assert_eq!(pair.server.read(pair.now_ns, far), Some(Ok(b"x".to_vec())));

    let mut lost = false;
    let mut pair = Pair::new(|settings| settings.no_delay = true)
        .losing(move |_, segment| segment.bytes == 1 && !std::mem::replace(&mut lost, true));
    let (near, far) = pair.connected();
    for bytes in 1..=1 + DUPLICATE_ACKS as usize {
        assert_eq!(pair.server.read(pair.now_ns, far), None, "the first byte holds up the others");
        pair.client.write(pair.now_ns, near, &[b'y'; 4][..bytes]).unwrap().unwrap();
        pair.run(MS);
    }
    pair.run(3 * LATENCY_NS);
    assert_eq!(pair.server.read(pair.now_ns, far), Some(Ok(vec![b'y'; 10])));
}

#[test]
fn a_connection_whose_other_end_falls_silent_times_out_when_its_tries_are_used_up() {
    let mut pair = Pair::new(|settings| settings.retries = 2).losing(|at_ns, _| at_ns > 10 * S);
    let (near, _) = pair.connected();
    pair.run(10 * S);
    pair.client.write(pair.now_ns, near, b"x").unwrap().unwrap();
    pair.run(7 * S - MS);
    assert_eq!(pair.client.state(near), State::Established);
    pair.run(2 * MS);
    assert_eq!(pair.client.write(pair.now_ns, near, b"x"), Some(Err(Failure::TimedOut)));
}

#[test]
fn both_queues_of_a_port_have_an_end() {
    let mut pair = Pair::new(|settings| settings.syn_backlog = 2);
    let ids = [(); 3].map(|()| pair.connect());
    pair.run(LATENCY_NS);
    assert_eq!((pair.server.queues(PORT), pair.server.counts().syn_queue_full), ((2, 0), 1));
    pair.run(2 * LATENCY_NS);
    assert_eq!(pair.server.queues(PORT), (0, 2));
    pair.run(S);
    assert!(ids.iter().all(|id| pair.client.opened(*id) == Some(Ok(()))), "the third by its second SYN");

    let mut pair = Pair::new(|settings| settings.accept_backlog = 1);
    let ids = [(); 2].map(|()| pair.connect());
    pair.run(4 * LATENCY_NS);
    assert_eq!((pair.server.queues(PORT), pair.server.counts().accept_queue_full), ((1, 1), 1));
    assert!(ids.iter().all(|id| pair.client.opened(*id) == Some(Ok(()))), "the client cannot know");
    pair.server.accept(PORT).unwrap();
    pair.run(2 * S);
    assert_eq!(pair.server.queues(PORT), (0, 1), "by the second SYN ACK");
    pair.connect();
    pair.run(LATENCY_NS);
    assert_eq!(pair.server.counts().accept_queue_full, 2, "a SYN is dropped at once");
}

#[test]
fn ports_end_and_come_back_when_their_connections_are_forgotten() {
    let mut pair = Pair::new(|settings| settings.ports = 50_000..=50_002);
    for _ in 0..3 {
        let (near, far) = pair.connected();
        pair.client.release(pair.now_ns, near);
        pair.run(LATENCY_NS);
        pair.server.release(pair.now_ns, far);
        pair.run(4 * LATENCY_NS);
    }
    assert_eq!(pair.client.in_state(State::TimeWait), 3);
    assert_eq!(pair.client.connect(pair.now_ns, (SERVER, PORT)), Err(Failure::NoPort));
    assert!(pair.client.connect(pair.now_ns, (SERVER, 81)).is_ok(), "a port leads to several places");
    pair.run(60 * S);
    assert!(pair.client.connect(pair.now_ns, (SERVER, PORT)).is_ok());
}

#[test]
fn a_new_connection_takes_the_place_of_one_that_the_server_remembers() {
    let mut pair = Pair::new(|settings| settings.ports = 50_000..=50_000);
    for _ in 0..2 {
        let (near, far) = pair.connected();
        pair.server.release(pair.now_ns, far);
        pair.run(LATENCY_NS);
        pair.client.release(pair.now_ns, near);
        pair.run(4 * LATENCY_NS);
        assert_eq!((pair.client.in_state(State::TimeWait), pair.server.in_state(State::TimeWait)), (0, 1));
    }
}
