//! `[realms.NAME]`: the networks that the relay is in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::Mistake;
use crate::limits::{REALM_ADDRESSES_MAX, REALM_BYTES_MAX};
use crate::shard::Realm;

/// The realm that legs live in which name none.
pub const DEFAULT: &str = "default";

/// One realm as it stands in the file.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RealmFile {
    /// Addresses of interfaces: legs are listened for at each of them.
    pub addresses: Vec<IpAddr>,
    /// Name or address that peers are told to connect to. Default: the first address.
    pub advertise: Option<String>,
    /// The same for peers that come by TLS: a name that one of `certificates` covers; empty is
    /// `advertise`. Without it the realm serves neither WSS nor TLS.
    pub public_name: Option<String>,
    /// Give each leg a port of its own. Default: as `exclusive_ports` of the file.
    pub exclusive_ports: Option<bool>,
    /// Origins of pages that may open WebSockets, such as `https://chat.example.com`. Default: any.
    pub origins: Vec<String>,
    /// Addresses that connections of ours leave from, in turns. Default: that one of `addresses` which
    /// reaches the peer.
    pub sources: Vec<IpAddr>,
}

/// Checks the realms, and puts the default one first. `plain` is what the command line says of it.
pub(super) fn realms(
    mut written: BTreeMap<String, RealmFile>,
    plain: Option<RealmFile>,
    exclusive_ports: bool,
) -> Result<Vec<Realm>, Mistake> {
    if let Some(plain) = plain {
        if written.contains_key(DEFAULT) {
            return Err(Mistake(format!(
                "address and advertise are said twice: beside [realms.{DEFAULT}] leave out \
                 `address` and `advertise`"
            )));
        }
        written.insert(DEFAULT.into(), plain);
    }
    let mut realms = Vec::new();
    for (name, file) in written {
        let realm = realm(&name, file, exclusive_ports)?;
        let place = if name == DEFAULT { 0 } else { realms.len() };
        realms.insert(place, realm);
    }
    let first = realms.first().map(|realm| realm.name.as_str());
    if realms.len() > 1 && first != Some(DEFAULT) {
        return Err(Mistake(format!(
            "there are several realms and none is called `{DEFAULT}`: name the one so that legs live \
             in which name no realm"
        )));
    }
    Ok(realms)
}

fn realm(name: &str, file: RealmFile, exclusive_ports: bool) -> Result<Realm, Mistake> {
    let wrong = |text: String| Err(Mistake(format!("realms.{name}: {text}")));
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > REALM_BYTES_MAX || !name.chars().all(is_word) {
        return wrong(format!(
            "a realm's name is 1 to {} letters, digits, `-`, `_` and `.`",
            REALM_BYTES_MAX
        ));
    }
    let Some(&first) = file.addresses.first() else {
        return wrong("it has no address: add addresses = [\"192.0.2.20\"]".into());
    };
    for (which, list) in [("addresses", &file.addresses), ("sources", &file.sources)] {
        let doubled = (1..list.len()).find(|place| list[..*place].contains(&list[*place]));
        if let Some(place) = doubled {
            return wrong(format!("{} stands twice in `{which}`", list[place]));
        }
    }
    if file.addresses.len() > REALM_ADDRESSES_MAX {
        return wrong(format!(
            "{} addresses are more than {REALM_ADDRESSES_MAX}: make another realm",
            file.addresses.len()
        ));
    }
    let is_any = |address: &IpAddr| address.is_unspecified();
    let of_family = |v4: bool| file.addresses.iter().filter(move |it| it.is_ipv4() == v4);
    if [true, false]
        .into_iter()
        .any(|v4| of_family(v4).any(is_any) && of_family(v4).count() > 1)
    {
        return wrong(
            "all addresses of a family, and one of them beside it, exclude each other".into(),
        );
    }
    if let Some(origin) = file.origins.iter().find(|origin| !is_origin(origin)) {
        return wrong(format!(
            "`{origin}` is no origin: scheme, host and perhaps port, as in https://chat.example.com"
        ));
    }
    let host = host(name, file.advertise, first)?;
    let public_host = match file.public_name {
        Some(public) if !public.is_empty() => Some(self::host(name, Some(public), first)?),
        Some(_) => Some(host.clone()),
        None => None,
    };
    Ok(Realm {
        name: name.into(),
        addresses: file.addresses,
        sources: file.sources,
        host,
        public_host,
        origins: file.origins,
        ports_exclusive: file.exclusive_ports.unwrap_or(exclusive_ports),
    })
}

/// Whether a browser would write it so: nothing follows host and port. RFC 6454, 6.2.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || "-._[]:".contains(letter);
    ["http", "https"].contains(&scheme) && !authority.is_empty() && authority.chars().all(is_good)
}

/// How a realm's address is told, given what the configuration calls it.
fn host(realm: &str, advertise: Option<String>, address: IpAddr) -> Result<String, Mistake> {
    let Some(name) = advertise else {
        if address.is_unspecified() {
            return Err(Mistake(format!(
                "peers cannot connect to {address}: say with --advertise, or with `advertise` of \
                 realms.{realm}, by which name or address they reach this machine"
            )));
        }
        return Ok(Realm::of(realm, address).host);
    };
    if let Ok(address @ IpAddr::V6(_)) = name.parse::<IpAddr>() {
        return Ok(Realm::of(realm, address).host);
    }
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || "-._[]:".contains(letter);
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_good) {
        return Err(Mistake(format!(
            "`{name}` is no host name and no address (advertise or public_name of realms.{realm})"
        )));
    }
    Ok(name)
}
