//! `meter serve ADDRESS`, `meter gateway ADDRESS METER_ADDRESS`.

use meter::gateway::{Retry, forward};
use meter::meter::Accounts;
use meter::serve;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", at] => {
            let (listener, accounts) = (TcpListener::bind(at).await?, Arc::new(Accounts::default()));
            loop {
                let (connection, accounts) = (listener.accept().await?.0, accounts.clone());
                tokio::spawn(async move { serve(connection, async |request| accounts.answer(&request)).await });
            }
        }
        ["gateway", at, meter] => {
            let (listener, meter) = (TcpListener::bind(at).await?, meter.to_owned());
            loop {
                let (connection, meter) = (listener.accept().await?.0, meter.clone());
                tokio::spawn(async move {
                    let dial = || TcpStream::connect(meter.clone());
                    serve(connection, async |request| forward(&request, Retry::IfNamed, dial).await).await
                });
            }
        }
        _ => Err(std::io::Error::other("usage: meter serve ADDRESS | meter gateway ADDRESS METER_ADDRESS")),
    }
}
