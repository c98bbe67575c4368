//! Pages of many resources over HTTP/1.1 and HTTP/2 (hyper) and HTTP/3 (h3 on quinn's protocol machine), all with TLS 1.3
//! (rustls): a server, and a browser that says when each resource was asked for and when it came.
//!
//! `tcp`: the first two. `packets`: their bytes, cut into packets. `udp`: the third.

mod packets;
mod tcp;
mod udp;

use super::life;
use crate::host::Host;
use crate::run::life::Part;
use hyper::body::Bytes;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// The port of every server.
const PORT: u16 = 443;
/// Bytes of a packet that are not a resource's: headers and seals of all protocols here, with a little to spare.
pub const OVERHEAD: u16 = 40;

/// How a browser speaks to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 over so many connections, each with one request at a time.
    One(u32),
    /// HTTP/2: all requests at once over one connection.
    Two,
    /// HTTP/3: all requests at once over one connection, of streams that do not wait for each other.
    Three,
}

/// What is told of each packet that a server sends: its length.
pub type Sent = Arc<dyn Fn(usize) + Send + Sync>;

/// What a server and a browser have agreed on.
#[derive(Clone)]
pub struct Site {
    /// The protocol.
    pub protocol: Protocol,
    /// The longest packet, in bytes, without the headers of IP, TCP and UDP.
    pub packet: u16,
    /// Packets that a resource fills.
    pub packets: u32,
    /// What is told of each packet that the server sends.
    pub sent: Sent,
}

impl Site {
    /// What of a resource fits into a packet.
    fn piece(&self) -> Bytes {
        vec![b'.'; usize::from(self.packet - OVERHEAD)].into()
    }

    /// The length of a resource.
    fn length(&self) -> usize {
        self.piece().len() * self.packets as usize
    }
}

/// Serves resources for ever; each is sent once `ready` has said so of its path.
pub async fn serve<F>(host: Host, site: Site, ready: impl Fn(String) -> F + Clone + 'static)
where
    F: Future<Output = ()> + 'static,
{
    match site.protocol {
        Protocol::One(_) | Protocol::Two => tcp::serve(host, site, ready).await,
        Protocol::Three => udp::serve(host, site, ready).await,
    }
}

/// One resource, as a browser sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loaded {
    /// When it was asked for.
    pub asked_ns: u64,
    /// When all of it had come.
    pub came_ns: u64,
}

/// A browser with its connections to one server.
pub struct Browser {
    host: Host,
    site: Site,
    lanes: Vec<Lane>,
}

impl Browser {
    /// Connects to a server, all connections at the same time.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn open(host: &Host, server: &str, site: Site) -> io::Result<Browser> {
        let count = if let Protocol::One(connections) = site.protocol { connections } else { 1 };
        let mut opening = Vec::new();
        for _ in 0..count {
            let (own, server, site) = (host.clone(), server.to_string(), site.clone());
            opening.push(host.spawn(async move { Lane::open(&own, &server, &site).await }));
        }
        let mut lanes = Vec::new();
        for lane in opening {
            lanes.push(lane.await.map_err(io::Error::other)??);
        }
        Ok(Browser { host: host.clone(), site, lanes })
    }

    /// Loads resources, in this order as far as there are connections for them.
    ///
    /// # Errors
    /// If one does not come whole.
    pub async fn load(&mut self, paths: Rc<[String]>) -> io::Result<Vec<Loaded>> {
        let loaded = Rc::new(RefCell::new(vec![Loaded::default(); paths.len()]));
        let next = Rc::new(Cell::new(0));
        let workers = match &self.lanes[..] {
            [Lane::One(_), ..] => std::mem::take(&mut self.lanes),
            shared => paths.iter().filter_map(|_| shared[0].shared()).collect(),
        };
        let mut working = Vec::new();
        for mut lane in workers {
            let (host, paths, loaded, next) = (self.host.clone(), paths.clone(), loaded.clone(), next.clone());
            let length = self.site.length();
            working.push(self.host.spawn(async move {
                while next.get() < paths.len() {
                    let number = next.replace(next.get() + 1);
                    let asked_ns = host.now_ns();
                    let asked = async {
                        life::begin(&host, Part::Distance, "to the server and back, and in line there");
                        let came = lane.get(&paths[number]).await;
                        life::served(came.is_ok());
                        came
                    };
                    if life::follow(host.clone(), asked).await? != length {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                    }
                    loaded.borrow_mut()[number] = Loaded { asked_ns, came_ns: host.now_ns() };
                }
                Ok(lane)
            }));
        }
        for worker in working {
            let lane = worker.await.map_err(io::Error::other)??;
            if matches!(lane, Lane::One(_)) {
                self.lanes.push(lane);
            }
        }
        Ok(loaded.take())
    }
}

/// What takes a request: a connection, or a share of one.
enum Lane {
    One(tcp::One),
    Two(tcp::Two),
    Three(udp::Three),
}

impl Lane {
    async fn open(host: &Host, server: &str, site: &Site) -> io::Result<Lane> {
        match site.protocol {
            Protocol::One(_) => Ok(Lane::One(tcp::One::open(host, server, site).await?)),
            Protocol::Two => Ok(Lane::Two(tcp::Two::open(host, server, site).await?)),
            Protocol::Three => Ok(Lane::Three(udp::Three::open(host, server, site).await?)),
        }
    }

    /// Another request's share of the same connection, if the protocol has such.
    fn shared(&self) -> Option<Lane> {
        match self {
            Lane::One(_) => None,
            Lane::Two(two) => Some(Lane::Two(two.clone())),
            Lane::Three(three) => Some(Lane::Three(three.clone())),
        }
    }

    /// Asks for a resource and reads it; its length.
    async fn get(&mut self, path: &str) -> io::Result<usize> {
        match self {
            Lane::One(one) => one.get(path).await,
            Lane::Two(two) => two.get(path).await,
            Lane::Three(three) => three.get(path).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Notes, World};
    use super::*;
    use std::collections::BTreeSet;

    /// Loads four resources over this protocol: each as the browser saw it, and the packets of which they fill half.
    fn load(protocol: Protocol, packets: u32) -> (Vec<Loaded>, u32) {
        let log = Notes::new((Vec::new(), 0));
        let (counted, notes) = (log.clone(), log.clone());
        let count = move |length| counted.with(|(_, count): &mut (Vec<Loaded>, u32)| *count += u32::from(length > 600));
        let site = Site { protocol, packet: 1200, packets, sent: Arc::new(count) };
        let served = site.clone();
        let world = World::new(5, 1, 5.0, 10)
            .host("server", move |host| serve(host, served.clone(), |_| std::future::ready(())))
            .host("browser", move |host| {
                let (site, log) = (site.clone(), notes.clone());
                async move {
                    let mut browser = Browser::open(&host, "server", site).await.unwrap();
                    log.with(|(_, count)| *count = 0);
                    let paths = (0..4).map(|number| format!("/{number}")).collect();
                    let loaded = browser.load(paths).await.unwrap();
                    log.with(|(all, _)| *all = loaded);
                    std::future::pending().await
                }
            });
        world.run().unwrap();
        log.take()
    }

    #[test]
    fn a_resource_fills_its_packets_over_each_protocol() {
        for protocol in [Protocol::One(2), Protocol::Two, Protocol::Three] {
            for packets in 2..=4 {
                let (loaded, sent) = load(protocol, packets);
                assert_eq!((loaded.len(), sent), (4, 4 * packets), "{protocol:?}");
                let asked: BTreeSet<u64> = loaded.iter().map(|one| one.asked_ns).collect();
                let rounds = if protocol == Protocol::One(2) { 2 } else { 1 };
                assert_eq!(asked.len(), rounds, "{protocol:?}: {loaded:?}");
            }
        }
    }
}
