//! Names a client's request.

/// One attempt of one operation: names a message on a client link to the chaos layer, whatever else is sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The operation's id in the history, from 1.
    pub operation: u32,
    /// How many attempts of it came before.
    pub attempt: u32,
}

impl AttemptId {
    /// The same in one number, above all counts of messages between nodes.
    pub fn number(self) -> u64 {
        u64::from(self.operation) << 32 | u64::from(self.attempt)
    }

    /// The attempt of this number; `None` if it is the count of a message between nodes.
    pub fn of(number: u64) -> Option<AttemptId> {
        let (operation, attempt) = ((number >> 32) as u32, number as u32);
        (operation > 0).then_some(AttemptId { operation, attempt })
    }
}
