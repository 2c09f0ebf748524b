//! A UDP-notif message -> its line. Its body is decoded here and nowhere before: JSON is checked and copied, CBOR
//! becomes JSON, XML stays one string; what cannot be decoded is hex.

mod cbor;

use collector::message::Notification;
use serde::de::IgnoredAny;
use wire::udp_notif::{Media, Options, SEGMENTATION};

use super::Common;
use super::flow::Row;
use super::text::Json;

/// Writes the line of a notification.
pub(super) fn notification(
    json: &mut Json<'_>,
    common: &Common,
    row: Row<'_>,
    of: Notification<'_>,
    body: &[u8],
) {
    let media = Media::of(of.version, of.is_private, of.code);
    json.open();
    common.write(json, "notification", row);
    json.key("publisherId").unsigned(of.publisher_id.into());
    json.key("messageId").unsigned(of.message_id.into());
    match media {
        Media::Json => json.key("mediaType").string("json"),
        Media::Xml => json.key("mediaType").string("xml"),
        Media::Cbor => json.key("mediaType").string("cbor"),
        // Private to publisher and receiver, or without a meaning.
        Media::Other(code) => json.key("mediaCode").unsigned(code.into()),
    }
    json.key("segments").unsigned(of.segments.into());
    json.key("sequenceLost").unsigned(of.sequence_lost.into());
    options(json, of.options);
    let before = json.mark();
    let written = match media {
        Media::Json => object(json, body),
        Media::Xml => text(json, body),
        Media::Cbor => {
            json.key("message");
            cbor::object(json, body)
        }
        Media::Other(_) => None,
    };
    if written.is_none() {
        json.undo(before);
        json.key("messageHex").hex("", body);
    }
    json.close();
    json.end_line();
}

/// Options besides segmentation, which the number of segments tells.
fn options(json: &mut Json<'_>, octets: &[u8]) {
    let mut options =
        Options::new(octets).map_while(Result::ok).filter(|option| option.kind != SEGMENTATION).peekable();
    if options.peek().is_none() {
        return;
    }
    json.key("options").open_list();
    for option in options {
        json.open();
        json.key("type").unsigned(option.kind.into());
        json.key("value").hex("", option.data.rest());
        json.close();
    }
    json.close_list();
}

/// Writes a body that is a JSON object, on one line and otherwise as it came: numbers keep their digits.
fn object(json: &mut Json<'_>, body: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(body).ok()?.trim();
    serde_json::from_str::<IgnoredAny>(text).ok().filter(|_| text.starts_with('{'))?;
    let (mut is_string, mut is_escaped) = (false, false);
    let compact: String = text
        .chars()
        .filter(|&letter| {
            if is_string {
                is_string = is_escaped || letter != '"';
                is_escaped = !is_escaped && letter == '\\';
                return true;
            }
            is_string = letter == '"';
            !letter.is_ascii_whitespace()
        })
        .collect();
    json.key("message").raw(&compact);
    Some(())
}

/// Writes a body that is text.
fn text(json: &mut Json<'_>, body: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(body).ok()?;
    json.key("message").string(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        object(&mut Json::new(&mut out), body)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn objects_lose_their_layout_and_nothing_else() {
        let body = b"{\n  \"a b\" : 18446744073709551616.10,\r\n\t\"c\": \" \\\" \\\\\" ,\"d\":[ 1 , {} ]}\n";
        let compact = r#""message":{"a b":18446744073709551616.10,"c":" \" \\","d":[1,{}]}"#;
        assert_eq!(written(body).as_deref(), Some(compact));
    }

    #[test]
    fn what_is_no_object_is_not_written() {
        let deep = [&b"{\"a\":"[..], &[b'['; 10_000]].concat();
        for body in [&b"[1]"[..], b"{\"a\":1", b"{\"a\":\"\xff\"}", b"{} {}", b"", &deep] {
            assert_eq!(written(body), None);
        }
    }
}
