//! What comes back with a completion: which operation it was, and on whose behalf.

/// An operation the shard can have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// A listener waits for a connection, which will live in the token's slot.
    Accept = 1,
    /// A connection of ours is being made.
    Connect = 2,
    /// Octets arrive, completion after completion.
    Receive = 3,
    /// One send, of one or several spans.
    Send = 4,
    /// Our direction is being ended; the peer reads to the end and then sees it.
    Shutdown = 5,
    /// The descriptor is being given back.
    Close = 6,
    /// The answer to a wish to cancel, which nobody waits for.
    Cancel = 7,
    /// Control rang: commands wait, or a new control has attached.
    Wake = 8,
}

impl Op {
    fn from_bits(bits: u8) -> Option<Op> {
        Some(match bits {
            1 => Op::Accept,
            2 => Op::Connect,
            3 => Op::Receive,
            4 => Op::Send,
            5 => Op::Shutdown,
            6 => Op::Close,
            7 => Op::Cancel,
            8 => Op::Wake,
            _ => return None,
        })
    }
}

/// Names the owner of an operation in the 64 bits that the kernel hands back.
///
/// The generation makes the completion of an operation of a slot's former user harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What was asked for.
    pub op: Op,
    /// Which use of the slot asked.
    pub generation: u16,
    /// Connection slot.
    pub slot: u32,
}

impl Token {
    /// Packs into the kernel's word.
    pub fn to_bits(self) -> u64 {
        (self.op as u64) << 48 | (self.generation as u64) << 32 | self.slot as u64
    }

    /// Unpacks; `None` for a word we cannot have written.
    pub fn from_bits(bits: u64) -> Option<Token> {
        Some(Token {
            op: Op::from_bits((bits >> 48) as u8)?,
            generation: (bits >> 32) as u16,
            slot: bits as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel_and_back() {
        for op in [Op::Accept, Op::Receive, Op::Send, Op::Close, Op::Wake] {
            let token = Token {
                op,
                generation: 0xfffe,
                slot: u32::MAX,
            };
            assert_eq!(Token::from_bits(token.to_bits()), Some(token));
        }
        assert_eq!(Token::from_bits(0), None);
    }
}
