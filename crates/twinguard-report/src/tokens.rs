//! The colours, once: the page's custom properties are written from this table, and its tests hold the promises.

/// An opaque colour, or one with an opacity in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    pub(crate) rgb: u32,
    pub(crate) opacity: u16,
}

const fn solid(rgb: u32) -> Colour {
    Colour { rgb, opacity: 1000 }
}

const fn veil(rgb: u32, opacity: u16) -> Colour {
    Colour { rgb, opacity }
}

/// A colour's name and its values by light, by dark and on paper.
pub(crate) struct Token {
    pub(crate) name: &'static str,
    pub(crate) light: Colour,
    pub(crate) dark: Colour,
    pub(crate) paper: Colour,
}

const fn token(name: &'static str, light: Colour, dark: Colour, paper: Colour) -> Token {
    Token { name, light, dark, paper }
}

const fn plain(name: &'static str, light: u32, dark: u32, paper: u32) -> Token {
    token(name, solid(light), solid(dark), solid(paper))
}

/// All colours of the page.
pub(crate) const TOKENS: [Token; 26] = [
    plain("page", 0xe6e8ea, 0x12161a, 0xffffff),
    plain("surface", 0xf6f7f8, 0x1b2025, 0xffffff),
    plain("inset", 0xeceef0, 0x242a30, 0xf2f3f4),
    plain("line", 0xcdd2d7, 0x39424b, 0xc4c9ce),
    plain("line2", 0x7d868f, 0x7f8a95, 0x6c757e),
    plain("ink", 0x191f25, 0xe7eaed, 0x000000),
    plain("ink2", 0x47515b, 0xb6bec6, 0x333333),
    plain("ink3", 0x5f6973, 0x97a1ab, 0x4d4d4d),
    plain("focus", 0x0059c9, 0x8ab8ff, 0x0059c9),
    plain("truth", 0x191f25, 0xf2f4f5, 0x000000),
    plain("field", 0x0064d8, 0x93bfff, 0x0064d8),
    plain("vendor", 0x8d2070, 0xc878a8, 0x8d2070),
    plain("model", 0x1f7a5c, 0x2fd39c, 0x1f7a5c),
    token("band", veil(0x1f7a5c, 160), veil(0x2fd39c, 170), veil(0x1f7a5c, 160)),
    token("fill", veil(0x1f7a5c, 180), veil(0x2fd39c, 180), veil(0x1f7a5c, 180)),
    plain("other", 0x666f78, 0xb6bec6, 0x5a5a5a),
    plain("crit", 0xb3180f, 0xff6a5c, 0xb3180f),
    plain("critink", 0xffffff, 0x12161a, 0xffffff),
    plain("high", 0xf08c2e, 0xffab5e, 0xf08c2e),
    plain("medium", 0xf7d354, 0xf2d46b, 0xf7d354),
    plain("sevink", 0x191f25, 0x12161a, 0x000000),
    token("hatch", veil(0x191f25, 170), veil(0xe7eaed, 150), veil(0x000000, 200)),
    token("tint", veil(0x191f25, 55), veil(0xe7eaed, 60), veil(0x000000, 50)),
    token("limit", veil(0x191f25, 500), veil(0xe7eaed, 500), veil(0x000000, 500)),
    token("shade", veil(0x141a20, 70), veil(0x000000, 0), veil(0x000000, 0)),
    token("veil", veil(0xf6f7f8, 850), veil(0x1b2025, 850), veil(0xffffff, 850)),
];

fn properties(pick: impl Fn(&Token) -> Colour, out: &mut String) {
    for token in &TOKENS {
        let Colour { rgb, opacity } = pick(token);
        if opacity == 1000 {
            out.push_str(&format!("--{}:#{rgb:06x};", token.name));
        } else {
            let [_, r, g, b] = rgb.to_be_bytes();
            out.push_str(&format!("--{}:rgba({r},{g},{b},.{opacity:03});", token.name));
        }
    }
}

/// The custom properties for light, dark (by preference or by the button) and paper.
pub(crate) fn custom_properties() -> String {
    let mut light = String::from("color-scheme:light;");
    properties(|token| token.light, &mut light);
    let mut dark = String::from("color-scheme:dark;");
    properties(|token| token.dark, &mut dark);
    let mut paper = String::from("color-scheme:light;");
    properties(|token| token.paper, &mut paper);
    format!(
        ":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n\
         :root[data-theme=dark]{{{dark}}}\n\
         @media print{{:root:root,:root:root[data-theme]{{{paper}}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::{Dichromacy, contrast, difference, seen_as};

    fn get(name: &str, dark: bool) -> u32 {
        let token = TOKENS.iter().find(|token| token.name == name).unwrap();
        if dark { token.dark.rgb } else { token.light.rgb }
    }

    #[test]
    fn text_is_readable() {
        let check = |ink: &str, ground: &str, least: f64| {
            for dark in [false, true] {
                let measured = contrast(get(ink, dark), get(ground, dark));
                assert!(measured >= least, "{ink} on {ground}, dark {dark}: {measured:.2} < {least}");
            }
        };
        for ground in ["surface", "inset", "page"] {
            check("ink", ground, 12.0);
            check("ink2", ground, 6.5);
            check("ink3", ground, 4.5);
            check("line2", ground, 3.0);
            check("focus", ground, 3.0);
        }
        for ink in ["truth", "field", "vendor", "model", "other", "crit"] {
            check(ink, "surface", 4.5);
        }
        check("critink", "crit", 4.5);
        check("sevink", "high", 4.5);
        check("sevink", "medium", 4.5);
    }

    #[test]
    fn lines_are_told_apart_by_every_eye() {
        let lines = ["truth", "field", "vendor", "model", "crit"];
        let check = |eye: Option<Dichromacy>, light: f64, dark: f64| {
            for (dark, least) in [(false, light), (true, dark)] {
                for (index, a) in lines.iter().enumerate() {
                    for b in &lines[index + 1..] {
                        let [a_seen, b_seen] = [a, b].map(|name| seen_as(get(name, dark), eye));
                        let measured = difference(a_seen, b_seen);
                        assert!(measured >= least, "{a} {b} {eye:?} dark {dark}: {measured:.1} < {least}");
                    }
                }
            }
        };
        check(None, 27.5, 22.5);
        check(Some(Dichromacy::Deuteranopia), 16.5, 13.5);
        check(Some(Dichromacy::Protanopia), 17.5, 17.5);
        check(Some(Dichromacy::Tritanopia), 11.5, 9.5);
    }

    #[test]
    fn every_colour_of_the_style_is_a_token() {
        let style = include_str!("style.css");
        assert!(
            !style.contains('#')
                || !style.split('#').skip(1).any(|rest| {
                    rest.chars().take(3).all(|c| c.is_ascii_hexdigit()) && !rest.starts_with("fa")
                })
        );
        for part in style.split("var(--").skip(1) {
            let name = part.split([')', ',']).next().unwrap();
            let layout = ["l", "r", "h", "x"].contains(&name);
            assert!(layout || TOKENS.iter().any(|token| token.name == name), "{name}");
        }
    }
}
