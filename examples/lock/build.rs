//! Makes client and server of the two gRPC services. Their messages are in `src/messages.rs`.

use tonic_build::manual::{Builder, Method, Service};

/// A method, and the messages it takes and gives.
fn method(name: &str, route: &str, takes: &str, gives: &str) -> Method {
    let path = |message| format!("crate::messages::{message}");
    let method = Method::builder().name(name).route_name(route).input_type(path(takes)).output_type(path(gives));
    method.codec_path("tonic_prost::ProstCodec").build()
}

fn main() {
    let locks = Service::builder()
        .name("Locks")
        .package("lock")
        .comment("What clients ask of any node.")
        .method(method("acquire", "Acquire", "Request", "Standing"))
        .method(method("release", "Release", "Request", "Standing"))
        .method(method("inspect", "Inspect", "Request", "Standing"))
        .build();
    let acceptors = Service::builder()
        .name("Acceptors")
        .package("lock")
        .comment("What nodes ask of each other.")
        .method(method("prepare", "Prepare", "Prepare", "Promise"))
        .method(method("accept", "Accept", "Accept", "Accepted"))
        .build();
    Builder::new().compile(&[locks, acceptors]);
}
