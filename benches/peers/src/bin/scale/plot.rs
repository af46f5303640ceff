//! Draws the curves, small and side by side: time above, memory below.

use std::error::Error;

use peers::SHORTEST;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::{Axis, Point};

/// The width and the height of one panel. `LEGEND` is the height of the text above all panels.
const WIDTH: u32 = 300;
const HEIGHT: u32 = 250;
const LEGEND: u32 = 40;

/// A color and a line width. The later line is thinner, so that it does not hide the other.
const BARE: (RGBColor, u32) = (RGBColor(230, 159, 0), 4);
const OURS: (RGBColor, u32) = (RGBColor(0, 114, 178), 2);
const INK: RGBColor = RGBColor(60, 60, 60);
const PALE: RGBColor = RGBColor(225, 225, 225);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Curve = Vec<(f64, f64)>;

pub(crate) fn draw(axes: &[Axis], path: &str) -> Result<(), Box<dyn Error>> {
    let size = (WIDTH * u32::try_from(axes.len())?, LEGEND + 2 * HEIGHT);
    let area = SVGBackend::new(path, size).into_drawing_area();
    // A white background, because the reader's may be dark.
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(LEGEND);
    legend(&above)?;
    let panels = below.split_evenly((2, axes.len()));
    let (times, memories) = panels.split_at(axes.len());
    for ((axis, time), memory) in axes.iter().zip(times).zip(memories) {
        let micros = |point: &Point| point.cpu.map(|cpu| cpu.map(|cpu| cpu.least / 1e3));
        panel(time, axis, "µs of CPU a delivery", &curves(axis, micros))?;
        let label = format!("bytes a {}", axis.each);
        panel(memory, axis, &label, &curves(axis, |point| point.memory))?;
    }
    Ok(area.present()?)
}

/// Two curves: bare, and behind the layer.
fn curves(axis: &Axis, value: impl Fn(&Point) -> [Option<f64>; 2]) -> [Curve; 2] {
    [0, 1].map(|which| {
        let points = axis.points.iter();
        points.filter_map(|point| Some((place(point), value(point)[which]?))).collect()
    })
}

/// The position on the x axis, which is logarithmic and has no 0.
fn place(point: &Point) -> f64 {
    point.at.max(1) as f64
}

fn legend(area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let text = text(15, &INK).pos(Pos::new(HPos::Left, VPos::Center));
    let middle = i32::try_from(LEGEND)? / 2 + 2;
    for (x, (colour, thick), name) in
        [(75, OURS, "behind the layer"), (235, BARE, "the bare handler")]
    {
        area.draw(&PathElement::new([(x, middle), (x + 24, middle)], colour.stroke_width(thick)))?;
        area.draw(&Circle::new((x + 12, middle), 2 + thick, colour.filled()))?;
        area.draw(&Text::new(name, (x + 32, middle), text.clone()))?;
    }
    let what = format!("events of {SHORTEST} bytes, the store in memory, the least of many rounds");
    area.draw(&Text::new(what, (395, middle), text))?;
    Ok(())
}

fn panel(
    area: &Area<'_>,
    axis: &Axis,
    label: &str,
    curves: &[Curve; 2],
) -> Result<(), Box<dyn Error>> {
    let all = || curves.iter().flatten();
    let most = all().fold(0., |most: f64, (_, y)| most.max(*y)) * 1.25;
    let measured = Vec::from_iter(axis.points.iter().map(place));
    // A margin on both sides.
    let ends = (measured[0] / 1.5)..(measured[measured.len() - 1] * 1.5);
    let x = ends.log_scale().with_key_points(measured);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(18)
        .x_label_area_size(48)
        .y_label_area_size(66)
        .build_cartesian_2d(x, 0f64..most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(PALE)
        .axis_style(INK)
        .y_labels(5)
        .x_desc(axis.name)
        .y_desc(label)
        .label_style(text(12, &INK))
        .axis_desc_style(text(14, &INK))
        .x_label_formatter(&|x| thousands(if *x == 1. { axis.points[0].at as f64 } else { *x }))
        .y_label_formatter(&|y| if most < 10. { format!("{y:.1}") } else { thousands(*y) })
        .draw()?;
    for (curve, (colour, thick)) in curves.iter().zip([BARE, OURS]) {
        let points = curve.iter().map(|point| Circle::new(*point, 2 + thick, colour.filled()));
        chart.draw_series(LineSeries::new(curve.iter().copied(), colour.stroke_width(thick)))?;
        chart.draw_series(points)?;
    }
    Ok(())
}

fn text(size: i32, colour: &RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(colour)
}

/// Formats 10000 as "10,000".
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}
