//! `cargo bench -p relay`: what the relay's hot functions take, each beside what at least must be done.
//!
//! A figure is the best of several rounds, in nanoseconds, with its ratio to the baseline below it.
//! Not here: the whole way of a message, which `causeway-bench` measures.

mod records;

use std::hint::black_box;
use std::time::{Duration, Instant};

use link::{Record, in_process};
use wire::msrp::writer::{self, Send, Start};
use wire::msrp::{ByteRange, Continuation, FailureReport, Read, Reader};
use wire::ws::{Frame, FrameReader};

const ROUNDS: usize = 20;
const ROUND: Duration = Duration::from_millis(10);
const TO: &[u8] = b"msrp://127.0.0.1:20000/kaAhb0TMwqsbKUvdqMvPT0mVJXU;tcp";
const FROM: &[u8] = b"msrp://127.0.0.1:2855/load000000170;tcp";
const TRANSACTION: &[u8] = b"f00000110000000000000a17";
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

fn main() {
    println!("{:<52}{:>12}  {:>7}", "", "ns", "ratio");
    for size in [300, 2048, 65_536] {
        let chunk = chunk(size);
        let mut copy = vec![0; chunk.len()];
        let memcpy = best(|| copy.copy_from_slice(black_box(&chunk)));
        let mut reader = Reader::new();
        let read = best(|| read_whole(&mut reader, black_box(&chunk)));
        let end_line = [b"\r\n-------", TRANSACTION].concat();
        let naive = best(|| {
            let found = chunk
                .windows(end_line.len())
                .position(|w| w == &end_line[..]);
            black_box(found);
        });
        told(
            &format!("read a chunk: head, {size} octets, end-line"),
            read,
            memcpy,
        );
        told("  a naive search for the end-line alone", naive, memcpy);
        told("  memcpy of the chunk", memcpy, memcpy);
    }

    let mut out = [0; 512];
    let start = Start::Request(b"SEND");
    let rewrite = best(|| {
        black_box(writer::prefix(
            &mut out,
            TRANSACTION,
            start,
            black_box(TO),
            FROM,
        ));
    });
    let bytes = writer::prefix_bytes(TRANSACTION, start, TO, FROM);
    let source = [7; 512];
    let memcpy = best(|| out[..bytes].copy_from_slice(black_box(&source[..bytes])));
    told("write new paths", rewrite, memcpy);
    told("  memcpy of as many octets", memcpy, memcpy);

    for size in [300, 65_536] {
        let frame = frame(size);
        let head = frame.len() - size;
        let mut work = frame.clone();
        let mut reader = FrameReader::new(1 << 20);
        // What is unmasked twice is masked again; the reader looks at no payload.
        let unmask = best(|| unmask_whole(&mut reader, black_box(&mut work)));
        let naive = best(|| {
            for (at, octet) in black_box(&mut work[head..]).iter_mut().enumerate() {
                *octet ^= MASK[at % 4];
            }
        });
        let memcpy = best(|| work.copy_from_slice(black_box(&frame)));
        told(
            &format!("read a frame, unmask {size} octets"),
            unmask,
            memcpy,
        );
        told("  octet by octet", naive, memcpy);
        told("  memcpy of the frame", memcpy, memcpy);
    }

    for size in [300, 2048, 16_384] {
        records::tell(size);
    }

    let mut ends = in_process(1, 64).expect("memory for one small region");
    let (mut record, mut copy) = (Record::default(), Record::default());
    let both = best(|| {
        let pushed = ends.controls[0].commands.push_quiet(black_box(&record));
        let popped = ends.shards[0].commands.pop(&mut copy);
        assert!(pushed.is_ok() && popped == Ok(true));
    });
    let memcpy = best(|| record.bytes_mut().copy_from_slice(black_box(copy.bytes())));
    told("push a record and pop it, one core", both, memcpy);
    told("  memcpy of a record", memcpy, memcpy);
}

fn told(what: &str, ns: f64, baseline: f64) {
    println!("{what:<52}{ns:>12.1}  {:>7.2}", ns / baseline);
}

/// Nanoseconds of one call in the best round.
fn best(mut work: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let (begin, mut calls) = (Instant::now(), 0_u32);
        while begin.elapsed() < ROUND {
            // A look at the clock costs as much as a short call.
            for _ in 0..64 {
                work();
            }
            calls += 64;
        }
        begin.elapsed().as_nanos() as f64 / f64::from(calls)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn read_whole(reader: &mut Reader, chunk: &[u8]) {
    let mut at = 0;
    while at < chunk.len() {
        match reader.read(chunk, at) {
            Ok(Read::Part(part)) => at = part.span.end,
            other => panic!("a chunk that is whole is read to its end: {other:?}"),
        }
    }
}

fn unmask_whole(reader: &mut FrameReader, frame: &mut [u8]) {
    match reader.read(frame, 0) {
        Ok(Frame::Payload { span, last, .. }) => assert!(last && span.end == frame.len()),
        other => panic!("a frame that is whole is read to its end: {other:?}"),
    }
}

/// A SEND whose body passes for random.
fn chunk(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let body: Vec<u8> = (0..size)
        .map(|_| {
            state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            (state >> 24) as u8
        })
        .collect();
    let total = size as u64;
    let send = Send {
        transaction: TRANSACTION,
        to: TO,
        from: FROM,
        message_id: TRANSACTION,
        range: Some(ByteRange {
            start: 1,
            end: None,
            total: Some(total),
        }),
        failure_report: FailureReport::No,
        success_report: false,
        content: Some((b"application/octet-stream", &body)),
        continuation: Continuation::Last,
    };
    let mut out = vec![0; size + 1024];
    let bytes = writer::send(&mut out, &send).expect("there is room");
    out.truncate(bytes);
    out
}

fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u16::try_from(size) {
        Ok(short) => {
            frame.push(0x80 | 126);
            frame.extend(short.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.resize(frame.len() + size, 7);
    frame
}
