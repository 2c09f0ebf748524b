//! Templates and values in, IPFIX messages out, with lengths and the count of data records filled in. Writes what
//! it is told and checks nothing but that a length fits its field.

use alloc::vec::Vec;

use crate::ipfix::template::Field;
use crate::ipfix::{HEADER_LENGTH, VERSION};

/// A message under construction: sets are appended in call order.
///
/// ```
/// use wire::emit::ipfix::Message;
/// use wire::ipfix::template::Field;
/// let fields = [Field::iana(8, 4), Field::iana(1, 8)];
/// let mut message = Message::new(1_700_000_000, 0, 7);
/// message.template(256, &fields);
/// message.data(256, &fields, &[&[&[192, 0, 2, 1], &[0, 0, 0, 0, 0, 0, 5, 220]]]);
/// assert_eq!(message.records(), 1);
/// assert_eq!(message.finish().len(), 16 + 16 + 16);
/// ```
#[derive(Debug, Clone)]
pub struct Message {
    octets: Vec<u8>,
    records: u32,
}

impl Message {
    /// A message without sets. `sequence` is the data records sent before in this domain and session.
    #[must_use]
    pub fn new(export_time: u32, sequence: u32, observation_domain_id: u32) -> Self {
        let mut octets = Vec::new();
        octets.extend(VERSION.to_be_bytes());
        octets.extend([0, 0]);
        octets.extend(export_time.to_be_bytes());
        octets.extend(sequence.to_be_bytes());
        octets.extend(observation_domain_id.to_be_bytes());
        Self { octets, records: 0 }
    }

    /// A template set with one template.
    pub fn template(&mut self, id: u16, fields: &[Field]) -> &mut Self {
        self.set(2, |octets| template_record(octets, id, None, fields))
    }

    /// An options template set with one template whose first `scope_count` fields are scope.
    pub fn options_template(&mut self, id: u16, scope_count: u16, fields: &[Field]) -> &mut Self {
        self.set(3, |octets| template_record(octets, id, Some(scope_count), fields))
    }

    /// A withdrawal of one template; of options templates with `options`. The id 2 (3 with `options`) withdraws
    /// all (RFC 7011 section 8.1).
    pub fn withdrawal(&mut self, id: u16, options: bool) -> &mut Self {
        self.set(if options { 3 } else { 2 }, |octets| {
            octets.extend(id.to_be_bytes());
            octets.extend([0, 0]);
        })
    }

    /// A data set: one list of values a record, one value a field. Values of variable fields get their length in
    /// front; the others must have the length that the template says.
    ///
    /// # Panics
    /// If a record has not one value a field, or a value not the length of its field.
    pub fn data(&mut self, id: u16, fields: &[Field], records: &[&[&[u8]]]) -> &mut Self {
        self.records += u32::try_from(records.len()).unwrap_or(u32::MAX);
        self.set(id, |octets| {
            for record in records {
                data_record(octets, fields, record);
            }
        })
    }

    /// A set of `records` records that are encoded already.
    pub fn raw(&mut self, set_id: u16, body: &[u8], records: u32) -> &mut Self {
        self.records += records;
        self.set(set_id, |octets| octets.extend_from_slice(body))
    }

    /// Pads the last set with zeros so that the message is a multiple of 4 octets (RFC 7011 section 3.3.1).
    pub fn pad(&mut self) -> &mut Self {
        let Some(set) = last_set(&self.octets) else { return self };
        while !self.octets.len().is_multiple_of(4) {
            self.octets.push(0);
        }
        let length = self.octets.len() - set;
        put_u16(&mut self.octets, set + 2, length);
        self
    }

    /// Data records so far: what the next message's sequence grows by.
    #[must_use]
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// Octets so far.
    #[must_use]
    pub fn length(&self) -> usize {
        self.octets.len()
    }

    /// The message, its length filled in.
    ///
    /// # Panics
    /// If it is longer than 65,535 octets.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.octets.len();
        put_u16(&mut self.octets, 2, length);
        self.octets
    }

    fn set(&mut self, id: u16, body: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        write_set(&mut self.octets, id, body);
        self
    }
}

/// One set with its length filled in.
pub(crate) fn write_set(octets: &mut Vec<u8>, id: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = octets.len();
    octets.extend(id.to_be_bytes());
    octets.extend([0, 0]);
    body(octets);
    let length = octets.len() - start;
    put_u16(octets, start + 2, length);
}

/// One data record (RFC 7011 section 3.4.3).
///
/// # Panics
/// If there is not one value a field, or a value has not the length of its field.
pub fn data_record(octets: &mut Vec<u8>, fields: &[Field], values: &[&[u8]]) {
    assert_eq!(fields.len(), values.len(), "one value a field");
    for (field, value) in fields.iter().zip(values) {
        if field.is_variable() {
            variable_length(octets, value.len());
        } else {
            assert_eq!(value.len(), usize::from(field.length), "the length that the template says");
        }
        octets.extend_from_slice(value);
    }
}

/// The length in front of a variable value: one octet below 255, else three (RFC 7011 section 7).
///
/// # Panics
/// If the length is above 65,535.
pub fn variable_length(octets: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 255 => octets.push(short),
        _ => {
            octets.push(255);
            octets.extend(u16::try_from(length).expect("a value of at most 65,535 octets").to_be_bytes());
        }
    }
}

/// One template record; an options template if it has a scope count.
fn template_record(octets: &mut Vec<u8>, id: u16, scope_count: Option<u16>, fields: &[Field]) {
    octets.extend(id.to_be_bytes());
    octets.extend(u16::try_from(fields.len()).expect("at most 65,535 fields").to_be_bytes());
    if let Some(scope_count) = scope_count {
        octets.extend(scope_count.to_be_bytes());
    }
    for field in fields {
        let enterprise = if field.pen == 0 { 0 } else { 0x8000 };
        octets.extend((field.id | enterprise).to_be_bytes());
        octets.extend(field.length.to_be_bytes());
        if field.pen != 0 {
            octets.extend(field.pen.to_be_bytes());
        }
    }
}

/// Where the last set starts.
fn last_set(octets: &[u8]) -> Option<usize> {
    let (mut at, mut last) = (HEADER_LENGTH, None);
    while let Some([high, low]) = octets.get(at + 2..at + 4) {
        last = Some(at);
        at += usize::from(u16::from_be_bytes([*high, *low]));
    }
    last
}

pub(crate) fn put_u16(octets: &mut [u8], at: usize, value: usize) {
    let value = u16::try_from(value).expect("a length of at most 65,535 octets");
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::Message;
    use crate::ipfix::template::{Field, VARIABLE_LENGTH};

    #[test]
    fn octets_are_those_of_the_rfc() {
        let fields = [Field { pen: 9, id: 5, length: 2 }, Field::iana(82, VARIABLE_LENGTH)];
        let mut message = Message::new(0x0102_0304, 5, 6);
        message.options_template(300, 1, &fields).data(300, &fields, &[&[&[7, 8], b"e0"]]).pad();
        assert_eq!(message.records(), 1);
        let expected = [
            0, 10, 0, 48, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6, // header: 48 octets
            0, 3, 0, 22, 1, 44, 0, 2, 0, 1, // options template 300, 2 fields, 1 of scope
            0x80, 5, 0, 2, 0, 0, 0, 9, // element 5 of PEN 9
            0, 82, 0xff, 0xff, // interfaceName
            1, 44, 0, 10, 7, 8, 2, b'e', b'0', 0, // data and one octet of padding
        ];
        assert_eq!(message.finish(), expected);
    }
}
