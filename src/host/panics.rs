//! Panics of a node. They end its process, as an abort would, and not the run: the checks must see the state that the
//! panic left behind.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`catch`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The message and place of the panic.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `f`. A panic in it is kept off the screen and returned as `place: message`.
///
/// # Errors
/// When `f` panics. Whatever it had borrowed may be half changed.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match INSIDE.get() {
            true => SAID.set(describe(info)),
            false => before(info),
        }));
    });
    let outside = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(outside);
    result.map_err(|_| SAID.take())
}

/// A panic's place and message, in one line that is the same on every machine.
pub(crate) fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("without a message").replace('\n', " ");
    info.location().map_or(text.clone(), |at| format!("{}:{}: {text}", portable(at.file()), at.line()))
}

/// A source file's path without the parts that differ from machine to machine.
fn portable(file: &str) -> &str {
    // `~/.cargo/registry/src/INDEX/CRATE-VERSION/src/...` and `/rustc/COMMIT/library/...`
    let after =
        |root: &str| file.split_once(root).and_then(|(_, rest)| rest.split_once(['/', '\\'])).map(|(_, rest)| rest);
    after("/registry/src/").or_else(|| after("\\registry\\src\\")).or_else(|| after("/rustc/")).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        let said = catch(|| panic!("sixty is\ntoo much")).unwrap_err();
        assert!(said.starts_with(file!()) && said.ends_with(": sixty is too much"), "{said}");
        assert!(catch(|| Vec::<u8>::new()[1]).unwrap_err().contains("index out of bounds"));
    }

    #[test]
    fn paths_are_the_same_on_every_machine() {
        let crates = "/home/me/.cargo/registry/src/index.crates.io-1949/openraft-0.9.25/src/raft.rs";
        assert_eq!(portable(crates), "openraft-0.9.25/src/raft.rs");
        assert_eq!(portable("/rustc/59807616/library/alloc/src/vec.rs"), "library/alloc/src/vec.rs");
        assert_eq!(portable("src/host/panics.rs"), "src/host/panics.rs");
    }
}
