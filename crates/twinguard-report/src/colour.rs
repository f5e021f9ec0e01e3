//! Measures for the tests of the colour table: contrast (WCAG 2.2), colour difference (CIEDE2000: Sharma, Wu, Dalal
//! 2005) and dichromacy (Machado, Oliveira, Fernandes, IEEE TVCG 15(6), 2009, severity 1.0).

/// A missing kind of cone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dichromacy {
    Protanopia,
    Deuteranopia,
    Tritanopia,
}

fn linear(rgb: u32) -> [f64; 3] {
    let [_, r, g, b] = rgb.to_be_bytes();
    [r, g, b].map(|channel| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn times(matrix: [[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
}

/// Contrast ratio of two colours, 1 to 21.
pub(crate) fn contrast(a: u32, b: u32) -> f64 {
    let [a, b] = [a, b].map(|rgb| {
        let [r, g, b] = linear(rgb);
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    });
    a.max(b) / a.min(b)
}

/// Linear RGB of a colour as an eye without one kind of cone sees it.
pub(crate) fn seen_as(rgb: u32, eye: Option<Dichromacy>) -> [f64; 3] {
    let matrix = match eye {
        None => return linear(rgb),
        Some(Dichromacy::Protanopia) => [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        Some(Dichromacy::Deuteranopia) => {
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
        }
        Some(Dichromacy::Tritanopia) => [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    };
    times(matrix, linear(rgb)).map(|c| c.clamp(0.0, 1.0))
}

/// CIE L*a*b* of linear sRGB, white D65.
fn lab(rgb: [f64; 3]) -> [f64; 3] {
    let xyz = times(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ],
        rgb,
    );
    let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
    let [x, y, z] = [f(xyz[0] / 0.95047), f(xyz[1]), f(xyz[2] / 1.08883)];
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// CIEDE2000 of two colours in linear RGB.
pub(crate) fn difference(a: [f64; 3], b: [f64; 3]) -> f64 {
    ciede2000(lab(a), lab(b))
}

fn ciede2000([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
    let c7 = ((a1.hypot(b1) + a2.hypot(b2)) / 2.0).powi(7);
    let g = 0.5 * (1.0 - (c7 / (c7 + 25f64.powi(7))).sqrt());
    let polar = |a: f64, b: f64| {
        let a = a * (1.0 + g);
        (a.hypot(b), if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).to_degrees().rem_euclid(360.0) })
    };
    let ((c1, h1), (c2, h2)) = (polar(a1, b1), polar(a2, b2));
    let grey = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if grey => 0.0,
        d if d > 180.0 => d - 360.0,
        d if d < -180.0 => d + 360.0,
        d => d,
    };
    let (dl, dc) = (l2 - l1, c2 - c1);
    let dh = 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin();
    let (l, c) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
    let h = match h1 + h2 {
        sum if grey => sum,
        sum if (h1 - h2).abs() <= 180.0 => sum / 2.0,
        sum if sum < 360.0 => (sum + 360.0) / 2.0,
        sum => (sum - 360.0) / 2.0,
    };
    let cos = |degrees: f64| degrees.to_radians().cos();
    let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0)
        - 0.20 * cos(4.0 * h - 63.0);
    let m = (l - 50.0).powi(2);
    let (sl, sc, sh) = (1.0 + 0.015 * m / (20.0 + m).sqrt(), 1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let c7 = c.powi(7);
    let rc = 2.0 * (c7 / (c7 + 25f64.powi(7))).sqrt();
    let rt = -rc * (60.0 * (-((h - 275.0) / 25.0).powi(2)).exp()).to_radians().sin();
    ((dl / sl).powi(2) + (dc / sc).powi(2) + (dh / sh).powi(2) + rt * (dc / sc) * (dh / sh)).sqrt()
}

#[test]
fn published_pairs() {
    // Sharma, Wu, Dalal, table 1: pairs 1, 4, 7, 13, 17, 25, 33.
    for (a, b, expect) in [
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0000),
        ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
        ([50.0, -0.0010, 2.4900], [50.0, 0.0009, -2.4900], 4.8045),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
        ([6.7747, -0.2908, -2.4247], [5.8714, -0.0985, -2.2286], 0.6377),
    ] {
        let measured = ciede2000(a, b);
        assert!((measured - expect).abs() < 1e-4, "{a:?} {b:?}: {measured}");
    }
    assert!((contrast(0, 0xffffff) - 21.0).abs() < 1e-9);
}
