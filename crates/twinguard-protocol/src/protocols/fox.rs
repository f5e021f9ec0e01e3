//! Niagara Fox of building automation. Recognised; contents are not read.
//!
//! Source: no public standard; the frame (`fox a 1 -1 fox hello`, a block in braces, `;;`) as the detection scripts for
//! it describe (Digital Bond, *Project Redpoint*, fox-info).

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The registered port.
pub const PORT: u16 = 1911;
/// Longest message that is looked for.
const LEN_MAX: usize = 1 << 14;
const HEAD: &[u8] = b"fox ";
const END: &[u8] = b"};;\n";

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Fox;

outlined!(Fox);

/// The words of the first line: `fox`, kind, number, number of the request or -1, channel, command.
fn words(bytes: &[u8]) -> Option<[&[u8]; 6]> {
    let line = bytes.get(..200.min(bytes.len()))?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| *byte == b' ');
    let all = [words.next()?, words.next()?, words.next()?, words.next()?, words.next()?, words.next()?];
    words.next().is_none().then_some(all)
}

impl Outlined for Fox {
    const FAMILY: Label = Label::literal("fox");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT)];

    fn frame(bytes: &[u8]) -> Cut {
        if !HEAD.iter().zip(bytes).all(|(wanted, byte)| wanted == byte) {
            return Cut::Foreign;
        }
        let looked = bytes.get(..LEN_MAX).unwrap_or(bytes);
        match looked.windows(END.len()).position(|window| window == END) {
            Some(at) => Cut::Message(at + END.len()),
            None if looked.len() < LEN_MAX => Cut::More(bytes.len().max(HEAD.len() + END.len()) + 1),
            None => Cut::Foreign,
        }
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let mut oddities = Oddities::NONE;
        let words = words(bytes);
        if words.is_none() {
            oddities.push(Oddity::BadValue, 0);
        }
        if !bytes.ends_with(END) {
            oddities.push(Oddity::Truncated, bytes.len());
        }
        let is_number = |word: &[u8]| {
            let digits = word.strip_prefix(b"-").unwrap_or(word);
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        };
        let certain = matches!(words, Some([b"fox", [_], number, reply, _, _]) if is_number(number) && is_number(reply));
        let function = match words {
            Some([.., b"hello"]) => 1,
            Some([.., b"challenge"]) => 2,
            Some([.., b"login" | b"authenticate"]) => 3,
            Some([.., b"welcome"]) => 4,
            Some([.., b"rejected"]) => 5,
            Some([.., b"keepAlive"]) => 6,
            _ => 0,
        };
        let action = match function {
            1 if known != Sender::Server => Some(Action::Connect),
            3 => Some(Action::Login),
            _ => None,
        };
        let header = Header { kind: Kind::Control, unit: 0, function, key: None };
        Some(Outline { bytes, header, sender: Sender::Unknown, action, certain, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Some([_, kind, number, reply, channel, command]) = words(outline.bytes) else { return };
        put("fox.kind", Field::Text(kind));
        put("fox.number", Field::Text(number));
        put("fox.reply", Field::Text(reply));
        put("fox.channel", Field::Text(channel));
        put("fox.command", Field::Text(command));
    }

    fn name(function: u16) -> &'static str {
        match function {
            1 => "hello",
            2 => "challenge",
            3 => "login",
            4 => "welcome",
            5 => "rejected",
            6 => "keep alive",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn a_greeting_is_recognised() {
        let hello = b"fox a 1 -1 fox hello\n{\nfox.version=s:1.0\n};;\n";
        assert_eq!(Fox::cut(hello), Cut::Message(hello.len()));
        assert_eq!(Fox::probe(hello), Some(Sender::Unknown));
        assert!(matches!(Fox::cut(&hello[..9]), Cut::More(_)));
        assert_eq!(Fox::cut(b"GET / HTTP/1.1"), Cut::Foreign);
        assert_eq!(Fox::probe(b"fox trots over\n{};;\n"), None);
        assert_eq!(Fox::read(hello, Sender::Client).unwrap().action, Some(Action::Connect));
    }
}
