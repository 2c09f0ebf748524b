//! Canonical path attributes of a dictionary's entries -> columns, worked out once an entry and spread over the rows.
#![expect(clippy::wildcard_enum_match_arm, reason = "few attributes have a column")]

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::ArrowError;
use wire::bgp::attribute::code;
use wire::bgp::{AsWidth, Attributes, Value};
use wire::cursor::Cursor;

use super::Named;

/// Builders of the attribute columns, one value an entry.
#[derive(Default)]
pub(super) struct AttributeColumns {
    origin: StringBuilder,
    as_path: ListBuilder<UInt32Builder>,
    origin_as: UInt32Builder,
    next_hop: StringBuilder,
    med: UInt32Builder,
    local_pref: UInt32Builder,
    communities: ListBuilder<StringBuilder>,
    ext_communities: ListBuilder<StringBuilder>,
    large_communities: ListBuilder<StringBuilder>,
}

impl AttributeColumns {
    /// Appends one entry.
    pub(super) fn push(&mut self, attributes: &[u8]) {
        let (mut origin, mut next_hop, mut med, mut local_pref) = (None, None, None, None);
        let (mut path, mut communities, mut ext, mut large) = (false, false, false, false);
        let multiprotocol = Attributes::new(Cursor::new(attributes))
            .flatten()
            .any(|attribute| attribute.code == code::MP_REACH);
        for attribute in Attributes::new(Cursor::new(attributes)).flatten() {
            let Ok(value) = attribute.value(AsWidth::Four) else { continue };
            match value {
                Value::Origin(value) => origin = Some(value.name()),
                Value::AsPath(value) => {
                    value.numbers().for_each(|number| self.as_path.values().append_value(number));
                    path = true;
                }
                Value::NextHop(value) if !multiprotocol => next_hop = Some(value.to_string()),
                Value::MpReach(value) => {
                    next_hop = value.next_hop.address().map(|address| address.to_string())
                }
                Value::MultiExitDisc(value) => med = Some(value),
                Value::LocalPref(value) => local_pref = Some(value),
                Value::Communities(values) if !communities => {
                    values.for_each(|value| self.communities.values().append_value(value.to_string()));
                    communities = true;
                }
                Value::ExtendedCommunities(values) if !ext => {
                    values.for_each(|value| self.ext_communities.values().append_value(value.to_string()));
                    ext = true;
                }
                Value::LargeCommunities(values) if !large => {
                    values.for_each(|value| self.large_communities.values().append_value(value.to_string()));
                    large = true;
                }
                _ => {}
            }
        }
        self.origin.append_option(origin);
        self.as_path.append(path);
        self.origin_as.append_option(crate::json::route::origin_as(attributes));
        self.next_hop.append_option(next_hop);
        self.med.append_option(med);
        self.local_pref.append_option(local_pref);
        self.communities.append(communities);
        self.ext_communities.append(ext);
        self.large_communities.append(large);
    }

    /// Puts the columns under their names, one value a row: row `i` has entry `keys[i]`.
    pub(super) fn spread(
        mut self,
        keys: &PrimitiveArray<Int32Type>,
        into: &mut Named,
    ) -> Result<(), ArrowError> {
        let columns: [(&str, ArrayRef); 9] = [
            ("origin", Arc::new(self.origin.finish())),
            ("asPath", Arc::new(self.as_path.finish())),
            ("originAs", Arc::new(self.origin_as.finish())),
            ("nextHop", Arc::new(self.next_hop.finish())),
            ("med", Arc::new(self.med.finish())),
            ("localPref", Arc::new(self.local_pref.finish())),
            ("communities", Arc::new(self.communities.finish())),
            ("extCommunities", Arc::new(self.ext_communities.finish())),
            ("largeCommunities", Arc::new(self.large_communities.finish())),
        ];
        for (name, array) in columns {
            into.push(name, Some(spread(&array, keys)?));
        }
        Ok(())
    }
}

/// One value a row out of one value an entry.
pub(super) fn spread(entries: &ArrayRef, keys: &PrimitiveArray<Int32Type>) -> Result<ArrayRef, ArrowError> {
    if entries.is_empty() {
        return Ok(arrow_array::new_null_array(entries.data_type(), arrow_array::Array::len(keys)));
    }
    arrow_select::take::take(entries, keys, None)
}
