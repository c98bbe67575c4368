//! Three nodes in one process: registers a service with one, and looks it up with another.

use openraft::Raft;
use registry::log::Log;
use registry::machine::Machine;
use registry::node::{Ask, ask, config, members, serve};
use registry::router::Router;
use registry::types::{Production, Register};
use std::error::Error;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::<Production>::default();
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let machine = Machine::default();
        let raft = Raft::new(id, config(), router.clone(), Log::default(), machine.clone()).await?;
        router.register(id, raft.clone());
        nodes.push((raft, machine));
    }
    nodes[0].0.initialize(members(3)).await?;
    nodes[0].0.wait(Some(Duration::from_secs(5))).current_leader(1, "the founder leads").await?;
    let mut question =
        Ask::Register(Register { request: (1, 1), name: "billing".into(), address: "10.0.0.7:443".into() });
    for (raft, machine) in nodes.iter().take(1).cycle().take(2) {
        let (client, server) = tokio::io::duplex(4096);
        tokio::spawn(serve(server, raft.clone(), machine.clone()));
        println!("{question:?}: {:?}", ask(client, &question).await?);
        question = Ask::LookUp("billing".into());
    }
    Ok(())
}
