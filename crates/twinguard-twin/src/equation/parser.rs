//! Tokens to statements; expressions come out in postfix order, so that nothing behind the parser recurses.
//! Source: the grammar in the [module's page](super); precedence as in ISO/IEC 1539 (Fortran), `-a^b` = `-(a^b)`.

use super::{
    Flaw,
    graph::{Binary, Unary},
    lexer::Token,
};
use crate::problem::{Problem, nearest};

/// What stands left of `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `d(x)/dt`
    Derivative,
    /// `x'` or `next(x)`
    Next,
    /// `x`
    Plain,
}

/// One step of a postfix expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Number(f64),
    Name(usize, &'a str),
    Unary(Unary),
    Binary(Binary),
    /// a ≠ b.
    NotEqual,
    /// Arguments the other way round: a > b is b < a.
    Swapped(Binary),
    Select,
}

/// `target = items`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement<'a> {
    pub(super) target: Target,
    pub(super) name: &'a str,
    pub(super) offset: usize,
    pub(super) items: Vec<Item<'a>>,
}

/// Deepest nesting of brackets, signs and powers.
const DEPTH: usize = 64;

#[derive(Clone, Copy)]
enum Call {
    Unary(Unary),
    /// Two or more arguments, folded from the left.
    Fold(Binary),
    /// Exactly two arguments.
    Pair(Binary),
    Select,
}

const FUNCTIONS: [(&str, Call); 15] = [
    ("abs", Call::Unary(Unary::Abs)),
    ("cos", Call::Unary(Unary::Cos)),
    ("exp", Call::Unary(Unary::Exp)),
    ("if", Call::Select),
    ("ln", Call::Unary(Unary::Ln)),
    ("log10", Call::Unary(Unary::Log10)),
    ("max", Call::Fold(Binary::Max)),
    ("min", Call::Fold(Binary::Min)),
    ("pow", Call::Pair(Binary::Pow)),
    ("sign", Call::Unary(Unary::Sign)),
    ("sin", Call::Unary(Unary::Sin)),
    ("sqrt", Call::Unary(Unary::Sqrt)),
    ("tan", Call::Unary(Unary::Tan)),
    ("tanh", Call::Unary(Unary::Tanh)),
    ("atan", Call::Unary(Unary::Atan)),
];

pub(super) fn statements<'a>(tokens: &[(usize, Token<'a>)], end: usize) -> Result<Vec<Statement<'a>>, Flaw> {
    let mut parser = Parser { tokens, next: 0, end, items: Vec::new() };
    let mut statements = Vec::new();
    loop {
        while parser.take(Token::Stop) {}
        if parser.peek().is_none() {
            return Ok(statements);
        }
        statements.push(parser.statement()?);
    }
}

struct Parser<'a, 't> {
    tokens: &'t [(usize, Token<'a>)],
    next: usize,
    end: usize,
    items: Vec<Item<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).map(|(_, token)| *token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(offset, _)| *offset)
    }

    fn take(&mut self, token: Token<'a>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn wanted(&self, what: &str) -> Flaw {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Stop) => "the end of the line".to_owned(),
            Some(Token::Number(value)) => format!("`{value}`"),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
        };
        Flaw::syntax(self.offset(), format!("expected {what}, found {found}"))
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Flaw> {
        if self.take(Token::Sign(sign)) { Ok(()) } else { Err(self.wanted(&format!("`{sign}`"))) }
    }

    fn name(&mut self) -> Result<(usize, &'a str), Flaw> {
        let offset = self.offset();
        match self.peek() {
            Some(Token::Name(name)) => {
                self.next += 1;
                Ok((offset, name))
            }
            _ => Err(self.wanted("a name")),
        }
    }

    fn statement(&mut self) -> Result<Statement<'a>, Flaw> {
        let (offset, first) = self.name()?;
        let (target, offset, name) = if self.take(Token::Sign("(")) {
            let target = match first {
                "d" => Target::Derivative,
                "next" => Target::Next,
                _ => {
                    let reason =
                        format!("`{first}(…)` cannot stand left of `=`; `d(x)/dt` and `next(x)` can");
                    return Err(Flaw::syntax(offset, reason));
                }
            };
            let (offset, name) = self.name()?;
            self.expect(")")?;
            if target == Target::Derivative {
                self.expect("/")?;
                if !self.take(Token::Name("dt")) {
                    return Err(self.wanted("`dt`"));
                }
            }
            (target, offset, name)
        } else if self.take(Token::Sign("'")) {
            (Target::Next, offset, first)
        } else {
            (Target::Plain, offset, first)
        };
        self.expect("=")?;
        self.comparison(0)?;
        if !matches!(self.peek(), None | Some(Token::Stop)) {
            return Err(self.wanted("an operator or the end of the line"));
        }
        Ok(Statement { target, name, offset, items: core::mem::take(&mut self.items) })
    }

    fn comparison(&mut self, depth: usize) -> Result<(), Flaw> {
        if depth > DEPTH {
            let problem = Problem::TooMuch { what: "nesting of an expression", count: depth, limit: DEPTH };
            return Err(Flaw { offset: Some(self.offset()), problem });
        }
        self.sum(depth)?;
        let item = match self.peek() {
            Some(Token::Sign("<")) => Item::Binary(Binary::Less),
            Some(Token::Sign("<=")) => Item::Binary(Binary::LessEqual),
            Some(Token::Sign(">")) => Item::Swapped(Binary::Less),
            Some(Token::Sign(">=")) => Item::Swapped(Binary::LessEqual),
            Some(Token::Sign("==")) => Item::Binary(Binary::Equal),
            Some(Token::Sign("!=")) => Item::NotEqual,
            _ => return Ok(()),
        };
        self.next += 1;
        self.sum(depth)?;
        self.items.push(item);
        Ok(())
    }

    fn sum(&mut self, depth: usize) -> Result<(), Flaw> {
        self.product(depth)?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("+")) => Binary::Add,
                Some(Token::Sign("-")) => Binary::Sub,
                _ => return Ok(()),
            };
            self.next += 1;
            self.product(depth)?;
            self.items.push(Item::Binary(operator));
        }
    }

    fn product(&mut self, depth: usize) -> Result<(), Flaw> {
        self.signed(depth)?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("*")) => Binary::Mul,
                Some(Token::Sign("/")) => Binary::Div,
                _ => return Ok(()),
            };
            self.next += 1;
            self.signed(depth)?;
            self.items.push(Item::Binary(operator));
        }
    }

    /// `-a^b`, `+a`; also the exponent, so that `a^-b` and `a^b^c` = `a^(b^c)` are read.
    fn signed(&mut self, depth: usize) -> Result<(), Flaw> {
        let mut negative = false;
        while let Some(Token::Sign(sign @ ("-" | "+"))) = self.peek() {
            negative ^= sign == "-";
            self.next += 1;
        }
        self.atom(depth)?;
        if self.take(Token::Sign("^")) {
            if depth >= DEPTH {
                let problem =
                    Problem::TooMuch { what: "nesting of an expression", count: depth + 1, limit: DEPTH };
                return Err(Flaw { offset: Some(self.offset()), problem });
            }
            self.signed(depth + 1)?;
            self.items.push(Item::Binary(Binary::Pow));
        }
        if negative {
            self.items.push(Item::Unary(Unary::Neg));
        }
        Ok(())
    }

    fn atom(&mut self, depth: usize) -> Result<(), Flaw> {
        match self.peek() {
            Some(Token::Number(value)) => {
                self.next += 1;
                self.items.push(Item::Number(value));
                Ok(())
            }
            Some(Token::Sign("(")) => {
                self.next += 1;
                self.comparison(depth + 1)?;
                self.expect(")")
            }
            Some(Token::Name(name)) => {
                let offset = self.offset();
                self.next += 1;
                if self.take(Token::Sign("(")) {
                    return self.call(offset, name, depth);
                }
                self.items.push(Item::Name(offset, name));
                Ok(())
            }
            _ => Err(self.wanted("a number, a name or `(`")),
        }
    }

    fn call(&mut self, offset: usize, name: &'a str, depth: usize) -> Result<(), Flaw> {
        let Some((_, call)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let nearest = nearest(name, FUNCTIONS.iter().map(|(known, _)| *known));
            let problem = Problem::Unknown { what: "function", name: name.to_owned(), nearest };
            return Err(Flaw { offset: Some(offset), problem });
        };
        let mut count = 0;
        loop {
            self.comparison(depth + 1)?;
            count += 1;
            if let (Call::Fold(operator), 2..) = (call, count) {
                self.items.push(Item::Binary(*operator));
            }
            if !self.take(Token::Sign(",")) {
                break;
            }
        }
        self.expect(")")?;
        let (wanted, item) = match call {
            Call::Unary(operator) => (1..=1, Some(Item::Unary(*operator))),
            Call::Pair(operator) => (2..=2, Some(Item::Binary(*operator))),
            Call::Fold(_) => (2..=usize::MAX, None),
            Call::Select => (3..=3, Some(Item::Select)),
        };
        if !wanted.contains(&count) {
            let reason = format!("`{name}` takes {} argument(s), not {count}", wanted.start());
            return Err(Flaw::syntax(offset, reason));
        }
        self.items.extend(item);
        Ok(())
    }
}
