//! The plain way to read frames: all octets are there. It shares no code with the reader.

use wire::ws::CloseCode;

/// What came out, in order. Payload of a message that is not complete comes last, as `Open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    Open(Vec<u8>),
    Error(CloseCode),
}

pub fn judge(stream: &[u8], message_bytes_max: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut message: Option<(bool, Vec<u8>)> = None;
    let mut rest = stream;
    loop {
        let (first, length, mask, payload) = match header(rest) {
            Err(code) => {
                events.push(Event::Error(code));
                return events;
            }
            Ok(None) => break,
            Ok(Some(header)) => header,
        };
        let here = payload.len().min(length);
        let unmasked: Vec<u8> = payload[..here]
            .iter()
            .enumerate()
            .map(|(at, octet)| octet ^ mask[at % 4])
            .collect();
        rest = &payload[here..];
        let is_whole = here == length;
        let (fin, opcode) = (first & 0x80 != 0, first & 15);
        if opcode >= 8 {
            if !is_whole {
                break;
            }
            let event = match opcode {
                9 => Event::Ping(unmasked),
                10 => Event::Pong(unmasked),
                _ => close(&unmasked),
            };
            let is_over = matches!(event, Event::Close(_) | Event::Error(_));
            events.push(event);
            if is_over {
                return events;
            }
            continue;
        }
        if (opcode == 0) != message.is_some() {
            events.push(Event::Error(CloseCode::Protocol));
            return events;
        }
        let (is_text, octets) = message.get_or_insert((opcode == 1, Vec::new()));
        if octets.len().saturating_add(length) > message_bytes_max {
            events.push(Event::Error(CloseCode::TooBig));
            return events;
        }
        octets.extend_from_slice(&unmasked);
        let is_last = fin && is_whole;
        if *is_text
            && str::from_utf8(octets).is_err_and(|error| error.error_len().is_some() || is_last)
        {
            events.push(Event::Error(CloseCode::InvalidData));
            return events;
        }
        if is_last {
            events.extend(message.take().map(|(_, octets)| Event::Message(octets)));
        }
        if !is_whole {
            break;
        }
    }
    events.extend(message.map(|(_, octets)| Event::Open(octets)));
    events
}

type Header<'a> = (u8, usize, [u8; 4], &'a [u8]);

/// First octet, length, mask, and what follows.
fn header(octets: &[u8]) -> Result<Option<Header<'_>>, CloseCode> {
    let wrong = Err(CloseCode::Protocol);
    let Some(&first) = octets.first() else {
        return Ok(None);
    };
    let opcode = first & 15;
    if first & 0x70 != 0
        || ![0, 1, 2, 8, 9, 10].contains(&opcode)
        || opcode >= 8 && first & 0x80 == 0
    {
        return wrong;
    }
    let Some(&second) = octets.get(1) else {
        return Ok(None);
    };
    if second < 0x80 || opcode >= 8 && second & 0x7f > 125 {
        return wrong;
    }
    let length_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(digits) = octets.get(2..2 + length_bytes) else {
        return Ok(None);
    };
    let long = digits
        .iter()
        .fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
    let length = if length_bytes == 0 {
        u64::from(second & 0x7f)
    } else {
        long
    };
    if length_bytes == 2 && length < 126
        || length_bytes == 8 && (length < 65536 || length > i64::MAX as u64)
    {
        return wrong;
    }
    let Some(mask) = octets.get(2 + length_bytes..6 + length_bytes) else {
        return Ok(None);
    };
    Ok(Some((
        first,
        length as usize,
        mask.try_into().unwrap(),
        &octets[6 + length_bytes..],
    )))
}

fn close(payload: &[u8]) -> Event {
    if payload.is_empty() {
        return Event::Close(None);
    }
    if payload.len() == 1 {
        return Event::Error(CloseCode::Protocol);
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    let never_sent = [1004, 1005, 1006, 1015];
    if !(1000..=4999).contains(&code) || (1015..3000).contains(&code) || never_sent.contains(&code)
    {
        return Event::Error(CloseCode::Protocol);
    }
    match str::from_utf8(&payload[2..]) {
        Ok(_) => Event::Close(Some(code)),
        Err(_) => Event::Error(CloseCode::InvalidData),
    }
}
