//! `schism lab`: the playground, served to the browsers of this machine.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use clap::Args;
use schism::lab::serve::serve;
use schism::report::json;
use serde::Serialize;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// Arguments of `schism lab`.
#[derive(Args)]
pub struct Lab {
    /// The port on 127.0.0.1; 0: any that is free.
    #[arg(long, default_value_t = 7878)]
    port: u16,
    #[command(flatten)]
    jobs: Jobs,
}

#[derive(Serialize)]
struct Address {
    address: String,
}

impl Lab {
    /// Serves until the process is ended.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let jobs = self.jobs.count();
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.map_err(|error| {
                Failure::Usage(format!("port {} cannot be had: {error}; choose another with --port", self.port))
            })?;
            let address = format!("http://{}", listener.local_addr()?);
            if terminal.json {
                terminal.line(&json::line("lab", Address { address }))?;
            } else {
                terminal.line(&format!("playground: {address} (end with Ctrl-C)"))?;
            }
            match serve(listener, jobs).await {}
        })
    }
}
