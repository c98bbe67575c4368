//! How fast the linearizability checker is: `cargo bench --bench check`.
//!
//! Names read `operations/clients/keys/unknown`. One thread; no orders are written down unless the name says so.

use divan::Bencher;
use schism::check::linearizability::generate::{Mix, Shape, generate};
use schism::check::linearizability::{Options, check_columns};
use schism::history::Columns;
use schism::history::formats::{read, write_json};

fn main() {
    divan::main();
}

const BASE: Shape = Shape {
    operations: 1_000_000,
    clients: 50,
    keys: 100,
    unknown_ppm: 0,
    mix: Mix::ReadWrite,
    values: None,
    stale: false,
};

fn judge(bencher: Bencher, shape: Shape, orders: bool, linearizable: bool) {
    let columns: Columns = generate(shape, 1);
    let options = Options { orders, ..Options::default() };
    assert_eq!(check_columns(&columns, options).linearizable(), Some(linearizable));
    bencher
        .counter(divan::counter::ItemsCount::new(columns.len()))
        .bench(|| check_columns(divan::black_box(&columns), options));
}

/// A million operations.
mod million {
    use super::*;

    #[divan::bench(sample_count = 10)]
    fn read_write_1m_50_100_0(bencher: Bencher) {
        judge(bencher, BASE, false, true);
    }

    #[divan::bench(sample_count = 10)]
    fn read_write_1m_50_100_0_with_order(bencher: Bencher) {
        judge(bencher, BASE, true, true);
    }

    #[divan::bench(sample_count = 10)]
    fn read_write_1m_50_100_5_stale(bencher: Bencher) {
        judge(bencher, Shape { unknown_ppm: 50_000, stale: true, ..BASE }, false, false);
    }

    #[divan::bench(sample_count = 10)]
    fn read_write_1m_50_100_5_valid(bencher: Bencher) {
        judge(bencher, Shape { unknown_ppm: 50_000, ..BASE }, false, true);
    }

    #[divan::bench(sample_count = 10)]
    fn deletes_1m_100_1_5_valid(bencher: Bencher) {
        let shape = Shape { clients: 100, keys: 1, unknown_ppm: 50_000, mix: Mix::Deletes, ..BASE };
        judge(bencher, shape, false, true);
    }
}

/// Reading a million JSON lines.
#[divan::bench(sample_count = 5)]
fn read_json_lines_1m(bencher: Bencher) {
    let text = write_json(&generate(BASE, 1));
    bencher
        .counter(divan::counter::BytesCount::new(text.len()))
        .bench(|| read(divan::black_box(text.as_bytes()), None).expect("we wrote it"));
}

/// One key, many clients: here searches blow up.
mod one_key {
    use super::*;

    #[divan::bench(args = [(1_000, 10), (1_000, 50), (10_000, 10), (100_000, 10)])]
    fn read_write_valid(bencher: Bencher, (operations, clients): (usize, usize)) {
        judge(bencher, Shape { operations, clients, keys: 1, ..BASE }, false, true);
    }

    #[divan::bench(args = [(1_000, 10), (1_000, 50), (10_000, 10), (100_000, 10)])]
    fn read_write_stale(bencher: Bencher, (operations, clients): (usize, usize)) {
        judge(bencher, Shape { operations, clients, keys: 1, stale: true, ..BASE }, false, false);
    }
}

/// Deletes together with cas that expect absence.
mod presence {
    use super::*;

    #[divan::bench(sample_count = 10)]
    fn creates_1m_50_1_5_valid(bencher: Bencher) {
        let shape = Shape { keys: 1, unknown_ppm: 50_000, mix: Mix::Creates, ..BASE };
        judge(bencher, shape, false, true);
    }

    #[divan::bench(args = [(1_000, 10), (1_000, 50), (10_000, 50)])]
    fn creates_valid(bencher: Bencher, (operations, clients): (usize, usize)) {
        let shape = Shape { operations, clients, keys: 1, unknown_ppm: 50_000, mix: Mix::Creates, ..BASE };
        judge(bencher, shape, false, true);
    }
}

/// Few distinct values: the search.
mod repeated_values {
    use super::*;

    #[divan::bench]
    fn cas_170_5_1(bencher: Bencher) {
        let shape = Shape { operations: 170, clients: 5, keys: 1, mix: Mix::Cas, values: Some(5), ..BASE };
        judge(bencher, shape, false, true);
    }

    #[divan::bench]
    fn cas_170_5_1_unknown(bencher: Bencher) {
        let unknown_ppm = 200_000;
        let shape = Shape { operations: 170, clients: 5, keys: 1, unknown_ppm, mix: Mix::Cas, values: Some(5), ..BASE };
        judge(bencher, shape, false, true);
    }
}

/// The cost of checking one of our own runs, orders included.
#[divan::bench]
fn a_run_of_5000_operations(bencher: Bencher) {
    let shape = Shape { operations: 5_000, clients: 10, keys: 8, unknown_ppm: 20_000, mix: Mix::Cas, ..BASE };
    judge(bencher, shape, true, true);
}
