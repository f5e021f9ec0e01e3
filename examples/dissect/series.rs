//! `--points`: every value as one row, so that each tag is a time series.

use std::io;

use anyhow::Result;
use twinguard::protocol::stack::Message;

use crate::json::seconds;

/// Columns of the table.
const HEADER: [&str; 9] =
    ["time", "family", "device", "tag", "access", "value", "raw", "quality", "device_time"];

/// Writes values as CSV (RFC 4180).
pub(crate) struct Series<W: io::Write> {
    writer: csv::Writer<W>,
}

impl<W: io::Write> Series<W> {
    pub(crate) fn new(out: W) -> Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(HEADER)?;
        Ok(Self { writer })
    }

    pub(crate) fn take(&mut self, message: &Message<'_>) -> Result<()> {
        let family = message.family();
        for point in message.points() {
            let value = point.raw.scalar().map(|value| value.to_string()).unwrap_or_default();
            self.writer.write_record([
                seconds(message.at),
                family.to_string(),
                message.server().to_string(),
                family.show_tag(point.tag).to_string(),
                point.access.as_str().to_owned(),
                value,
                point.raw.to_string(),
                point.quality.as_str().to_owned(),
                point.at.map(seconds).unwrap_or_default(),
            ])?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }
}
