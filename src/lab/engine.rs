//! The playground's engine as a program: a question on standard input, its answer on standard output. Built for
//! `wasm32-wasip1` it is what runs in a browser's tab.

use std::io::{Read, Write, stdin, stdout};

fn main() -> std::io::Result<()> {
    let mut question = String::new();
    stdin().read_to_string(&mut question)?;
    let mut out = stdout().lock();
    out.write_all(schism::lab::answer(&question).as_bytes())?;
    out.flush()
}
