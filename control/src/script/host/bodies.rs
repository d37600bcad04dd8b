//! What scripts call to read and write the bodies and feature tags of RCS: maps in, maps out.
//!
//! Not here: the formats themselves (`bodies`).

use rhai::{Array, Dynamic, Engine, INT, Map};

use super::octets::Octets;
use super::sip::SipMessage;
use super::{Checked, check};
use crate::bodies::composing::Composing;
use crate::bodies::conference::Conference;
use crate::bodies::cpim::{Cpim, address, display_name};
use crate::bodies::imdn::Imdn;
use crate::bodies::part::{Part, content_id, essence, from_base64, to_base64};
use crate::bodies::presence::{Presence, Tuple};
use crate::bodies::resource_lists::{Entry, RESOURCE_LISTS};
use crate::bodies::{Malformed, cpim, features, multipart, resource_lists, sipfrag};
use crate::script::limits::CONTENT_BYTES_MAX;

/// Makes the functions known to the engine. Reading fails with what is wrong; a script may catch that.
pub(super) fn register(engine: &mut Engine) {
    register_envelopes(engine);
    register_documents(engine);
    register_features(engine);
}

fn register_envelopes(engine: &mut Engine) {
    engine
        .register_fn("mediaType", |content_type: &str| essence(content_type))
        .register_fn(
            "parseMultipart",
            |body: Dynamic, content_type: &str| -> Checked<Array> {
                let parts = multipart::read(content_type, &octets(&body)?).map_err(refused)?;
                Ok(parts.iter().map(|part| part_map(part).into()).collect())
            },
        )
        .register_fn(
            "buildMultipart",
            |parts: Array, subtype: &str| -> Checked<Map> {
                check::name("subtype", subtype)?;
                let parts = parts.iter().map(part_of).collect::<Checked<Vec<Part>>>()?;
                let (content_type, body) = multipart::write(subtype, &parts).map_err(refused)?;
                let mut map = Map::new();
                map.insert("contentType".into(), content_type.into());
                map.insert("content".into(), Octets::or_text(body));
                Ok(map)
            },
        )
        .register_fn("encodeBase64", |body: Dynamic| -> Checked<String> {
            Ok(to_base64(&octets(&body)?))
        })
        .register_fn("decodeBase64", |text: &str| -> Checked<Dynamic> {
            let decoded = from_base64(text.as_bytes()).map_err(refused)?;
            Ok(Octets::value(decoded))
        })
        .register_fn("contentId", |url: &str| {
            content_id(url).map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_fn("parseCpim", |body: Dynamic| -> Checked<Map> {
            let cpim = Cpim::read(&octets(&body)?).map_err(refused)?;
            Ok(cpim_map(&cpim))
        })
        .register_fn("buildCpim", |map: Map| -> Checked<Dynamic> {
            let written = cpim_of(&map)?.write().map_err(refused)?;
            Ok(Octets::or_text(written))
        });
}

fn register_documents(engine: &mut Engine) {
    engine
        .register_fn("parseImdn", |text: &str| -> Checked<Map> {
            let imdn = Imdn::read(text).map_err(refused)?;
            Ok(map_of([
                ("messageId", imdn.message_id.into()),
                ("dateTime", imdn.date_time.into()),
                ("recipient", imdn.recipient.into()),
                ("kind", imdn.kind.into()),
                ("status", imdn.status.into()),
            ]))
        })
        .register_fn("buildImdn", |map: Map| -> Checked<String> {
            let imdn = Imdn {
                message_id: text(&map, "messageId")?,
                date_time: text(&map, "dateTime")?,
                recipient: text(&map, "recipient")?,
                original: text(&map, "originalTo")?,
                kind: text(&map, "kind")?,
                status: text(&map, "status")?,
            };
            imdn.write().map_err(refused)
        })
        .register_fn("parseIsComposing", |text: &str| -> Checked<Map> {
            let note = Composing::read(text).map_err(refused)?;
            Ok(map_of([
                ("active", note.is_active.into()),
                ("contentType", note.content_type.into()),
                ("refresh", INT::from(note.refresh_s).into()),
            ]))
        })
        .register_fn("buildIsComposing", |map: Map| -> Checked<String> {
            let refresh = map.get("refresh").and_then(|value| value.as_int().ok());
            let note = Composing {
                is_active: flag(&map, "active"),
                content_type: text(&map, "contentType")?,
                refresh_s: refresh.and_then(|value| value.try_into().ok()).unwrap_or(0),
            };
            Ok(note.write())
        })
        .register_fn("parseResourceLists", |text: &str| -> Checked<Array> {
            let entries = resource_lists::read(text).map_err(refused)?;
            let entry = |Entry { uri, name, role }| {
                map_of([
                    ("uri", uri.into()),
                    ("name", name.into()),
                    ("role", role.into()),
                ])
            };
            Ok(entries.into_iter().map(|one| entry(one).into()).collect())
        })
        .register_fn("buildResourceLists", |entries: Array| -> Checked<Map> {
            let entries = entries
                .iter()
                .map(entry_of)
                .collect::<Checked<Vec<Entry>>>()?;
            let content = resource_lists::write(&entries).map_err(refused)?;
            Ok(map_of([
                ("contentType", RESOURCE_LISTS.into()),
                ("content", content.into()),
            ]))
        })
        .register_fn("parsePidf", |text: &str| -> Checked<Map> {
            let presence = Presence::read(text).map_err(refused)?;
            let tuples: Array = presence.tuples.into_iter().map(tuple_map).collect();
            Ok(map_of([
                ("entity", presence.entity.into()),
                ("tuples", tuples.into()),
            ]))
        })
        .register_fn("buildPidf", |map: Map| -> Checked<String> {
            let tuples = map
                .get("tuples")
                .and_then(|tuples| tuples.clone().try_cast::<Array>());
            let tuples = tuples.unwrap_or_default();
            let presence = Presence {
                entity: text(&map, "entity")?,
                tuples: tuples.iter().map(tuple_of).collect::<Checked<_>>()?,
            };
            presence.write().map_err(refused)
        })
        .register_fn("parseSipfrag", |text: &str| -> Checked<Map> {
            let (status, reason) = sipfrag::read(text).map_err(refused)?;
            Ok(map_of([
                ("status", INT::from(status).into()),
                ("reason", reason.into()),
            ]))
        })
        .register_fn("parseConferenceInfo", |text: &str| -> Checked<Map> {
            Ok(conference_map(Conference::read(text).map_err(refused)?))
        });
}

fn register_features(engine: &mut Engine) {
    engine
        // The whole items in header values: an array of text.
        .register_fn("parseFeatureTags", |values: Array| -> Checked<Array> {
            let values = values
                .iter()
                .map(text_of)
                .collect::<Checked<Vec<String>>>()?;
            let items = features::read(values.iter().map(String::as_str));
            Ok(items.into_iter().map(Dynamic::from).collect())
        })
        // For an Accept-Contact, each tag with the `;` in front of it.
        .register_fn("buildFeatureTags", |items: Array| -> Checked<String> {
            features::write_text(&texts(&items)?).map_err(refused)
        })
        .register_fn(
            "setFeatureTags",
            |message: &mut SipMessage, items: Array| -> Checked<()> {
                for (name, value) in features::write(&texts(&items)?).map_err(refused)? {
                    message.set_contact_parameter(&name, value.as_deref())?;
                }
                Ok(())
            },
        );
}

fn refused(why: Malformed) -> Box<rhai::EvalAltResult> {
    why.0.into()
}

/// A body: text or octets.
fn octets(body: &Dynamic) -> Checked<Vec<u8>> {
    let octets = Octets::of(body)?;
    match octets.len() > CONTENT_BYTES_MAX {
        true => Err(format!("a body has at most {CONTENT_BYTES_MAX} octets").into()),
        false => Ok(octets),
    }
}

fn text_of(value: &Dynamic) -> Checked<String> {
    let text = value.clone().into_string();
    text.map_err(|kind| format!("text is wanted, not a {kind}").into())
}

fn texts(values: &Array) -> Checked<Vec<String>> {
    values.iter().map(text_of).collect()
}

/// A member that is text; empty where there is none.
fn text(map: &Map, name: &str) -> Checked<String> {
    match map.get(name) {
        Some(value) if !value.is_unit() => {
            text_of(value).map_err(|why| format!("{name}: {why}").into())
        }
        _ => Ok(String::new()),
    }
}

fn flag(map: &Map, name: &str) -> bool {
    map.get(name)
        .is_some_and(|value| value.as_bool().unwrap_or(false))
}

fn map_of<const N: usize>(members: [(&str, Dynamic); N]) -> Map {
    members
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}

/// Header fields as a map; names of MIME headers are in lower case. The first of a name counts.
fn headers_map(headers: &[(String, String)], lower: bool) -> Map {
    let mut map = Map::new();
    for (name, value) in headers {
        let name = if lower {
            name.to_ascii_lowercase()
        } else {
            name.clone()
        };
        map.entry(name.into())
            .or_insert_with(|| value.clone().into());
    }
    map
}

fn part_map(part: &Part) -> Map {
    map_of([
        ("contentType", part.content_type().into()),
        ("headers", headers_map(&part.headers, true).into()),
        ("content", Octets::or_text(part.content.clone())),
    ])
}

/// `contentType`, `content`, and further `headers`.
fn part_of(value: &Dynamic) -> Checked<Part> {
    let Some(map) = value.clone().try_cast::<Map>() else {
        return Err("a part is a map with contentType and content".into());
    };
    let content_type = text(&map, "contentType")?;
    check::mime(&content_type)?;
    let content = map.get("content").map_or(Ok(Vec::new()), octets)?;
    let mut part = Part::new(&content_type, &content);
    if let Some(headers) = map
        .get("headers")
        .and_then(|headers| headers.clone().try_cast::<Map>())
    {
        for (name, value) in headers {
            check::name("header", &name)?;
            if !name.eq_ignore_ascii_case("Content-Type") {
                part.headers.push((name.to_string(), text_of(&value)?));
            }
        }
    }
    Ok(part)
}

fn cpim_map(cpim: &Cpim) -> Map {
    let about = |name: &str| cpim.header(name).unwrap_or_default();
    let party = |name: &str| Dynamic::from(address(&about(name)).to_owned());
    let list =
        |words: Vec<String>| Dynamic::from(words.into_iter().map(Dynamic::from).collect::<Array>());
    let mut map = part_map(&cpim.part);
    map.insert(
        "mimeHeaders".into(),
        map.get("headers").cloned().unwrap_or_default(),
    );
    map.insert("headers".into(), headers_map(&cpim.headers, false).into());
    map.insert("from".into(), party("From"));
    map.insert(
        "fromName".into(),
        display_name(&about("From")).to_owned().into(),
    );
    map.insert("to".into(), party("To"));
    map.insert("subject".into(), about("Subject").into());
    map.insert("dateTime".into(), about("DateTime").into());
    map.insert(
        "messageId".into(),
        cpim.imdn("Message-ID").unwrap_or_default().into(),
    );
    map.insert("notify".into(), list(cpim.wanted()));
    let routes = cpim.routes().into_iter().map(str::to_owned);
    map.insert("routes".into(), list(routes.collect()));
    let original = address(cpim.imdn("Original-To").unwrap_or_default());
    map.insert("originalTo".into(), original.to_owned().into());
    map.insert("required".into(), list(cpim.required()));
    map
}

/// `from` and `to` are URIs; who is left out is nobody.
fn cpim_of(map: &Map) -> Checked<Cpim> {
    let bracketed = |name: &str, uri: &str| -> Checked<String> {
        check::value(name, uri)?;
        match uri.contains(['<', '>']) {
            true => Err(format!("{name}: a URI stands without angle brackets").into()),
            false => Ok(format!("<{uri}>")),
        }
    };
    let party = |name: &str| -> Checked<String> {
        match text(map, name)?.as_str() {
            "" => Ok(cpim::NOBODY.to_owned()),
            uri => bracketed(name, uri),
        }
    };
    let words = |name: &str| -> Checked<Vec<String>> {
        let list = map
            .get(name)
            .and_then(|words| words.clone().try_cast::<Array>());
        texts(&list.unwrap_or_default())
    };
    let mut headers = vec![
        ("From".to_owned(), party("from")?),
        ("To".to_owned(), party("to")?),
    ];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            headers.push((name.to_owned(), value));
        }
    };
    let message_id = text(map, "messageId")?;
    if !message_id.is_empty() {
        add("NS", format!("imdn <{}>", cpim::IMDN_NAMESPACE));
        add("imdn.Message-ID", message_id);
    }
    add("DateTime", text(map, "dateTime")?);
    add("imdn.Disposition-Notification", words("notify")?.join(", "));
    for route in words("routes")? {
        add("imdn.IMDN-Route", bracketed("routes", &route)?);
    }
    let mut part = map.clone();
    let mime = part.remove("mimeHeaders").unwrap_or_default();
    part.insert("headers".into(), mime);
    let part = part_of(&part.into())?;
    Ok(Cpim { headers, part })
}

fn entry_of(value: &Dynamic) -> Checked<Entry> {
    if let Ok(uri) = value.as_immutable_string_ref() {
        let uri = uri.to_string();
        return Ok(Entry {
            uri,
            ..Entry::default()
        });
    }
    let Some(map) = value.clone().try_cast::<Map>() else {
        return Err("an entry is a URI, or a map with uri, name and role".into());
    };
    let (uri, name, role) = (text(&map, "uri")?, text(&map, "name")?, text(&map, "role")?);
    Ok(Entry { uri, name, role })
}

fn tuple_map(tuple: Tuple) -> Dynamic {
    let media: Array = tuple.media.into_iter().map(Dynamic::from).collect();
    map_of([
        ("open", tuple.is_open.into()),
        ("service", tuple.service.into()),
        ("version", tuple.version.into()),
        ("contact", tuple.contact.into()),
        ("media", media.into()),
    ])
    .into()
}

fn tuple_of(value: &Dynamic) -> Checked<Tuple> {
    let Some(map) = value.clone().try_cast::<Map>() else {
        return Err("a tuple is a map with open, service and version".into());
    };
    let media = map
        .get("media")
        .and_then(|words| words.clone().try_cast::<Array>());
    Ok(Tuple {
        is_open: flag(&map, "open"),
        service: text(&map, "service")?,
        version: text(&map, "version")?,
        contact: text(&map, "contact")?,
        media: texts(&media.unwrap_or_default())?,
    })
}

fn conference_map(conference: Conference) -> Map {
    let users: Array = (conference.users.into_iter())
        .map(|user| {
            map_of([
                ("entity", user.entity.into()),
                ("name", user.name.into()),
                ("state", user.scope.word().into()),
                ("status", user.status.into()),
                ("leftBy", user.left_by.into()),
                ("reason", user.reason.into()),
                ("self", user.is_self.into()),
            ])
            .into()
        })
        .collect();
    map_of([
        ("entity", conference.entity.into()),
        ("state", conference.scope.word().into()),
        ("version", INT::from(conference.version).into()),
        ("subject", conference.subject.into()),
        (
            "usersMax",
            conference
                .users_max
                .map_or(Dynamic::UNIT, |max| INT::from(max).into()),
        ),
        ("users", users.into()),
    ])
}
