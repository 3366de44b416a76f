//! Pictures of figures: a bar for each contestant, as long as its median, with a line from the least
//! to the greatest. The colours change with the reader's theme.

use std::fmt::Write as _;

use crate::bench::{report::escaped, series::Series};

/// Bars beside each other, of one thing.
pub(super) struct Plot {
    /// The name of its file, without what follows the dot.
    pub(super) file: String,
    /// What the bars are of, with its unit.
    pub(super) title: String,
    /// Who, and how much.
    pub(super) bars: Vec<(String, Series)>,
}

impl Plot {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let most = self.bars.iter().map(|(_, series)| series.greatest());
        let most = most.fold(f64::MIN_POSITIVE, f64::max);
        let height = TOP + LINE * self.bars.len() as f64;
        let title = escaped(&self.title);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n<text class=\"title\" x=\"0\" y=\"16\">{title}</text>\n"
        );
        for (place, (name, series)) in self.bars.iter().enumerate() {
            let bar = Bar {
                name,
                series,
                top: TOP + LINE * place as f64,
                scale: (WIDTH - LEFT - RIGHT) / most,
                ours: place == 0,
            };
            text += &bar.svg();
        }
        text + "</svg>\n"
    }
}

struct Bar<'a> {
    name: &'a str,
    series: &'a Series,
    top: f64,
    /// Pixels for one.
    scale: f64,
    /// Whether it is the one that is measured.
    ours: bool,
}

impl Bar<'_> {
    fn svg(&self) -> String {
        let Self {
            name,
            series,
            top,
            scale,
            ours,
        } = self;
        let name = escaped(name);
        let median = series.median();
        let [long, least, greatest] =
            [median, series.least(), series.greatest()].map(|figure| figure * scale);
        let (from, to) = (LEFT + least, LEFT + greatest);
        let class = if *ours { "ours" } else { "other" };
        let digits = if median < 100.0 { 1 } else { 0 };
        let (middle, word) = (top + THICK / 2.0, top + THICK / 2.0 + 4.0);
        let mut text = String::new();
        writeln!(
            text,
            "<text class=\"name\" x=\"{:.1}\" y=\"{word:.1}\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{long:.1}\" height=\"{THICK}\" rx=\"2\"/>\n\
             <path class=\"range\" d=\"M{from:.1} {middle:.1}H{to:.1}\"/>\n\
             <text x=\"{:.1}\" y=\"{word:.1}\">{median:.digits$}</text>",
            LEFT - 8.0,
            to.max(LEFT + long) + 8.0,
        )
        .expect("a string takes all");
        text
    }
}

/// In pixels: the whole, beside the bars, above them, from one to the next, and one.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 32.0;
const LINE: f64 = 26.0;
const THICK: f64 = 16.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.name { text-anchor: end; }
.ours { fill: #0f766e; }
.other { fill: #9aa4b0; }
.range { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ours { fill: #2dd4bf; }
  .other { fill: #6b7684; }
  .range { stroke: #e6edf3; }
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_picture() {
        let plot = Plot {
            file: "bench-hop".to_owned(),
            title: "µs & more".to_owned(),
            bars: vec![
                ("leno".to_owned(), Series::of(&[10.0])),
                ("<envoy>".to_owned(), Series::of(&[30.0, 42.0, 20.0])),
            ],
        };
        let svg = plot.svg();
        for part in [
            "<title>µs &amp; more</title>",
            "<rect class=\"ours\" x=\"150\" y=\"32.0\" width=\"100.0\"",
            ">&lt;envoy&gt;</text>",
            "<rect class=\"other\" x=\"150\" y=\"58.0\" width=\"300.0\"",
            "d=\"M350.0 66.0H570.0\"",
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
    }
}
