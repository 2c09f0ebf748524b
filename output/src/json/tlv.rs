//! TLVs of BMP messages -> `tlvs`, each `{"type","name","index","enterprise","value"}`. A value is always text: words
//! where the type has them, else its octets in hex.

use std::fmt;

use wire::bmp::indexed::{IndexedTlv, IndexedTlvs, TlvValue};
use wire::bmp::{PathStatus, Profile, Tlv};
use wire::cursor::Cursor;

use super::text::Json;

/// The marks of a path, `best|primary`.
struct Marks(PathStatus);

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.0.names();
        f.write_str(names.next().unwrap_or("unmarked"))?;
        names.try_for_each(|name| write!(f, "|{name}"))
    }
}

/// The top bit of a type in version 4: the value starts with an enterprise number.
const ENTERPRISE: u16 = 0x8000;

/// Writes the TLVs of a message of `version` as a key of the open object, if there are any. `name` knows the types
/// whose values are text.
pub(super) fn plain<'a>(
    json: &mut Json<'_>,
    version: u8,
    tlvs: impl Iterator<Item = Tlv<'a>>,
    name: impl Fn(u16) -> Option<&'static str>,
) {
    let mut tlvs = tlvs.peekable();
    if tlvs.peek().is_none() {
        return;
    }
    json.key("tlvs").open_list();
    for tlv in tlvs {
        json.open();
        let enterprise = tlv.value.split_first_chunk().filter(|_| version >= 4 && tlv.kind & ENTERPRISE != 0);
        let kind = if enterprise.is_some() { tlv.kind & !ENTERPRISE } else { tlv.kind };
        json.key("type").unsigned(kind.into());
        match (enterprise, name(kind)) {
            (Some((number, value)), _) => {
                json.key("enterprise").unsigned(u32::from_be_bytes(*number).into());
                json.key("value").hex("", value);
            }
            (None, Some(name)) => {
                json.key("name").string(name);
                json.key("value").text(tlv.text());
            }
            (None, None) => json.key("value").hex("", tlv.value),
        }
        json.close();
    }
    json.close_list();
}

/// Writes the TLVs about one NLRI, as the column of routes has them.
pub(super) fn of_nlri(json: &mut Json<'_>, octets: &[u8]) {
    let Some((&profile, tlvs)) = octets.split_first() else { return };
    let Some(profile) = Profile::ALL.get(usize::from(profile)) else { return };
    json.key("tlvs").open_list();
    for tlv in IndexedTlvs::new(Cursor::new(tlvs)).flatten() {
        indexed(json, *profile, &tlv);
    }
    json.close_list();
}

fn indexed(json: &mut Json<'_>, profile: Profile, tlv: &IndexedTlv<'_>) {
    let meaning = profile.meaning(tlv);
    json.open();
    json.key("type").unsigned(tlv.kind.into());
    if let Some(name) = meaning.name() {
        json.key("name").string(name);
    }
    json.key("index").unsigned(tlv.index.into());
    if let Some(enterprise) = tlv.enterprise {
        json.key("enterprise").unsigned(enterprise.into());
    }
    match tlv.value(meaning) {
        TlvValue::Name(name) => json.key("value").text(name),
        TlvValue::Sequence(number) => json.key("value").text(number),
        TlvValue::Timestamp { kind, seconds, microseconds } => {
            json.key("timestampType").unsigned(kind.into());
            json.key("value").time(seconds.into(), microseconds.saturating_mul(1_000).min(999_999_999), 6);
        }
        TlvValue::PathStatus(status) => {
            json.key("value").text(Marks(status));
            if let Some(reason) = status.reason {
                json.key("reason").unsigned(reason.into());
            }
            if let Some(text) = status.reason_text() {
                json.key("reasonText").string(text);
            }
        }
        TlvValue::Group(_) | TlvValue::Capability(_) | TlvValue::Raw(_) => {
            json.key("value").hex("", tlv.value);
        }
    }
    json.close();
}
