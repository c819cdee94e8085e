//! The fields of a request.

use t4t_json::{JsonKind, JsonKinds, Scan, ScanError};

use super::found::Found;
use super::message;
use super::names::Names;
use super::tools::{self, Read};
use super::value::{Care, bytes_of_field, weigh};
use crate::fault::RequestFault;
use crate::names::{IN_STREAM_OPTIONS, check_spelling};

impl Found {
    /// Reads the value of one of the request's fields.
    pub(super) fn field<'a>(&mut self, scan: &mut Scan<'a>, name: &str) -> Result<JsonKinds, ScanError> {
        let kind = scan.kind()?;
        let read = match (name, kind) {
            ("messages", JsonKind::Array) => {
                let mut items = JsonKinds::default();
                scan.array(|scan, index| {
                    items.add(scan.kind()?);
                    message::message(scan, index, self)
                })?;
                return Ok(items);
            }
            ("tools", _) => {
                let read = tools::tools(scan)?;
                self.foreign_tool = read.fault;
                Read { fault: None, ..read }
            }
            ("stop", _) => {
                let read = tools::stop(scan)?;
                self.stop_fault = read.fault;
                Read { fault: None, ..read }
            }
            ("stream_options", JsonKind::Object) => self.stream_options(scan)?,
            (_, JsonKind::Array) => items(scan)?,
            _ => Read { bytes: weigh(scan, Care::Length, None)?.bytes, ..Read::default() },
        };
        self.tally.elsewhere += bytes_of_field(name, read.bytes);
        Ok(read.items)
    }

    fn stream_options(&mut self, scan: &mut Scan<'_>) -> Result<Read, ScanError> {
        let (mut bytes, mut names, mut spelling, mut twice) = (2, Names::default(), None, None);
        scan.object(|scan, name, _| {
            if names.repeats(name.clone()) {
                twice.get_or_insert_with(|| RequestFault::twice(format_args!("stream_options.{name}")));
            }
            if spelling.is_none() {
                spelling = check_spelling(&name, "stream_options.", &IN_STREAM_OPTIONS).err();
            }
            bytes += bytes_of_field(&name, weigh(scan, Care::Length, None)?.bytes);
            Ok(())
        })?;
        self.stream_options_fault = twice.or(spelling);
        Ok(Read { bytes, ..Read::default() })
    }
}

/// Reads an array whose items' kinds may be asked for.
fn items(scan: &mut Scan<'_>) -> Result<Read, ScanError> {
    let mut read = Read { bytes: 2, ..Read::default() };
    scan.array(|scan, _| {
        read.items.add(scan.kind()?);
        read.bytes += weigh(scan, Care::Length, None)?.bytes + 1;
        Ok(())
    })?;
    Ok(read)
}
