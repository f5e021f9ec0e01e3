//! Characters to tokens. Source: the grammar in the [module's page](super).

use super::Flaw;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    Name(&'a str),
    /// One of the operators and brackets, as text.
    Sign(&'static str),
    /// End of a line outside brackets, or `;`.
    Stop,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 16] =
    ["<=", ">=", "==", "!=", "<", ">", "=", "+", "-", "*", "/", "^", "(", ")", ",", "'"];

/// All tokens with their byte offsets.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, Flaw> {
    let mut tokens = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let taken = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '\n' | ';' => {
                if first == ';' || open.is_empty() {
                    tokens.push((at, Token::Stop));
                }
                1
            }
            _ if first.is_whitespace() => first.len_utf8(),
            '0'..='9' | '.' => {
                let length = number(rest);
                let digits = rest.get(..length).unwrap_or_default();
                let value = digits.parse::<f64>().ok().filter(|value| value.is_finite());
                tokens.push((
                    at,
                    Token::Number(
                        value
                            .ok_or_else(|| Flaw::syntax(at, format!("`{digits}` is not a finite number")))?,
                    ),
                ));
                length
            }
            _ if first.is_alphabetic() || first == '_' => {
                let length =
                    rest.find(|next: char| !(next.is_alphanumeric() || next == '_')).unwrap_or(rest.len());
                tokens.push((at, Token::Name(rest.get(..length).unwrap_or_default())));
                length
            }
            _ => {
                let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
                    return Err(Flaw::syntax(at, format!("unexpected character `{}`", first.escape_debug())));
                };
                match sign {
                    "(" => open.push(at),
                    ")" if open.pop().is_none() => {
                        return Err(Flaw::syntax(at, "`)` closes nothing".to_owned()));
                    }
                    _ => {}
                }
                tokens.push((at, Token::Sign(sign)));
                sign.len()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    match open.last() {
        Some(&at) => Err(Flaw::syntax(at, "`(` is never closed".to_owned())),
        None => Ok(tokens),
    }
}

/// Length of the number at the start of `text`: digits, at most one point, an exponent only with digits.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut from: usize| {
        while bytes.get(from).is_some_and(u8::is_ascii_digit) {
            from += 1;
        }
        from
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equation_lexer_reads_numbers_names_and_signs() {
        let found: Vec<_> = tokens("a_1<=2.5e-3 # x\n(b\n)'").unwrap().into_iter().map(|t| t.1).collect();
        let sign = Token::Sign;
        let expected = [
            Token::Name("a_1"),
            sign("<="),
            Token::Number(2.5e-3),
            Token::Stop,
            sign("("),
            Token::Name("b"),
            sign(")"),
            sign("'"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn equation_lexer_names_the_place() {
        for (text, at) in [("a = $", 4), ("a = 1e999", 4), ("a = (1", 4), ("a = 1)", 5), (".", 0)] {
            assert_eq!(tokens(text).unwrap_err().offset, Some(at), "{text}");
        }
    }
}
