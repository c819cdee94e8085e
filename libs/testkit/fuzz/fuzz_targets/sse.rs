//! Server-sent events of a backend: where the cuts fall makes no difference.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use t4t_inference_runner::sse::SseReader;

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let size = usize::from(*cut).max(1);
    assert_eq!(read(stream.chunks(size)), read(std::iter::once(stream)));
});

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<String>> {
    let mut reader = SseReader::new();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(reader.feed(&Bytes::copy_from_slice(piece)).ok()?);
    }
    events.extend(reader.finish());
    Some(events.iter().map(ToString::to_string).collect())
}
