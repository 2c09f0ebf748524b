//! A template and the schema of flows in, a plan out: everything about its records that can be decided once.
//!
//! Plans hang on the template's octets and the schema alone, so exporters with equal templates share one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use wire::ipfix::template::Field;
use wire::netflow::v5;

use super::column::{Step, Steps};
use super::key::Keys;
use super::lane::LANE;
use super::layout::Layout;
use super::options::Told;
use super::place::{Place, Shape};
use super::sampling::Sampling;
use super::template::TemplateOctets;
use super::time::Times;
use crate::batch::Batch;
use crate::outlet::Schemas;
use crate::schema::{Column, Origin, Schema};
use crate::settings::JoinAddress;

/// Columns from which on it pays to lay records side by side.
const WORTH_LANES: usize = 4;

/// The fields of a template with their places, to be searched.
pub(crate) struct Found<'a> {
    fields: &'a [Field],
    places: &'a [Place],
}

impl Found<'_> {
    /// The `nth` field (from 0) of an element.
    fn nth(&self, pen: u32, id: u16, nth: u8) -> Option<(Field, Place)> {
        self.all(pen, id).nth(usize::from(nth))
    }

    /// Where the first field of an IANA element with octets lies.
    pub(crate) fn first(&self, id: u16) -> Option<Place> {
        self.first_of(0, id)
    }

    /// Where the first field of an element with octets lies.
    pub(crate) fn first_of(&self, pen: u32, id: u16) -> Option<Place> {
        self.all(pen, id).map(|(_, place)| place).find(|place| place.length() != Some(0))
    }

    /// Where the fields of some IANA elements lie, with their ids, in the order of the template.
    pub(crate) fn any_of(&self, ids: &[u16]) -> impl DoubleEndedIterator<Item = (u16, Place)> {
        self.fields
            .iter()
            .zip(self.places)
            .filter(|(field, _)| field.pen == 0 && ids.contains(&field.id))
            .map(|(field, place)| (field.id, *place))
    }

    fn all(&self, pen: u32, id: u16) -> impl Iterator<Item = (Field, Place)> {
        let pairs = self.fields.iter().zip(self.places);
        pairs
            .filter(move |(field, _)| (field.pen, field.id) == (pen, id))
            .map(|(field, place)| (*field, *place))
    }
}

/// A compiled template. Shared by all exporters of a worker that sent an equal one.
#[derive(Debug)]
pub(crate) struct Plan {
    octets: Box<[u8]>,
    pub(crate) is_options: bool,
    pub(crate) shape: Shape,
    /// Whether many columns are read from its records, and they are of a length that can be laid side by side.
    pub(crate) is_laid: bool,
    /// Whether all its columns can wait with the records, as far as the plan can tell.
    pub(crate) is_plain: bool,
    /// Columns of elements that someone wants.
    pub(crate) steps: Steps,
    pub(crate) times: Times,
    pub(crate) sampling: Sampling,
    /// Fields that options tables are asked by, in the order of [`Layout::names`].
    pub(crate) named_by: [Option<Place>; 4],
    pub(crate) keys: Keys,
    pub(crate) told: Told,
    /// Where its octets stand in the dictionary of a batch: the batch's number (high half) and the key. Written
    /// by one worker only; atomic so that a plan can be shared without a lock or a cell.
    choice: AtomicU64,
}

impl Plan {
    fn compile(
        octets: &[u8],
        template: &TemplateOctets<'_>,
        layout: &Layout,
        schema: &Schema,
        address: JoinAddress,
    ) -> Self {
        let fields: Vec<Field> = template.fields().collect();
        let (shape, places) = Shape::of(&fields);
        let found = Found { fields: &fields, places: &places };
        let step = |(at, column): (usize, &Column)| match column.origin {
            Origin::Element { pen, id, nth } if !template.is_options => {
                let (field, place) = found.nth(pen, id, nth)?;
                Step::new(at, column.store, field, place)
            }
            Origin::Element { .. } | Origin::Record(_) | Origin::Join { .. } => None,
        };
        let steps: Vec<Step> = schema.columns.iter().enumerate().filter_map(step).collect();
        let is_laid =
            steps.len() >= WORTH_LANES && shape.fixed().is_some_and(|octets| (1..=LANE).contains(&octets));
        let (times, sampling) = (Times::of(&found), Sampling::of(&found));
        let is_whole = layout.record.is_some() || layout.template.is_some();
        let is_plain = is_laid && !is_whole && !times.are_relative() && !sampling.is_told();
        Self {
            octets: octets.into(),
            is_laid,
            is_plain,
            is_options: template.is_options,
            steps: Steps::of(steps),
            times,
            sampling,
            // 10 and 14: interfaces; 234 and 235: VRFs.
            named_by: [10, 14, 234, 235].map(|id| found.first(id)),
            keys: if layout.joins() { Keys::of(&found, address) } else { Keys::default() },
            told: Told::of(&found),
            choice: AtomicU64::new(0),
            shape,
        }
    }

    /// The template, as [`TemplateOctets`] reads it.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The key of the template in a column of this batch; added to its dictionary when first asked for.
    pub(crate) fn choice(&self, batch: &mut Batch, column: usize) -> Option<i32> {
        let (known, key) = unpack(self.choice.load(Ordering::Relaxed));
        if known == low_half(batch.sequence) {
            return Some(key);
        }
        let key = batch.add_choice(column, |to| to.extend_from_slice(&self.octets))?;
        self.choice.store(
            u64::from(low_half(batch.sequence)) << 32 | u64::from(key.cast_unsigned()),
            Ordering::Relaxed,
        );
        Some(key)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
const fn unpack(choice: u64) -> (u32, i32) {
    ((choice >> 32) as u32, (choice as u32).cast_signed())
}

#[expect(clippy::cast_possible_truncation, reason = "no plan rests for 2^32 batches")]
const fn low_half(sequence: u64) -> u32 {
    sequence as u32
}

/// The plans of a worker, by the octets of their templates. Bounded; plans beyond are made but not shared.
#[derive(Debug)]
pub(crate) struct Plans {
    by_octets: HashMap<Box<[u8]>, Arc<Plan>>,
    layout: Layout,
    schema: Arc<Schema>,
    /// Which address of a record the join looks up.
    address: JoinAddress,
    max: usize,
    /// Plans to be made before the next sweep for unused ones, while the table is full.
    until_sweep: usize,
    not_shared: u64,
}

impl Plans {
    /// No plans yet, at most `max` shared ones, for the columns of these schemas and the join of this address.
    pub(crate) fn new(schemas: &Schemas, max: usize, address: JoinAddress) -> Self {
        let [schema, ..] = schemas;
        Self {
            by_octets: HashMap::new(),
            layout: Layout::of(schema),
            schema: Arc::clone(schema),
            address,
            max,
            until_sweep: 0,
            not_shared: 0,
        }
    }

    /// Where the columns of flows are.
    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether rows carry their templates.
    pub(crate) const fn wants_templates(&self) -> bool {
        self.layout.template.is_some()
    }

    /// The plan of a template. `None` if the octets are not a template's.
    pub(crate) fn plan(&mut self, octets: &[u8]) -> Option<Arc<Plan>> {
        if let Some(plan) = self.by_octets.get(octets) {
            return Some(Arc::clone(plan));
        }
        let template = TemplateOctets::read(octets)?;
        let plan = Arc::new(Plan::compile(octets, &template, &self.layout, &self.schema, self.address));
        if self.by_octets.len() >= self.max {
            if self.until_sweep == 0 {
                self.by_octets.retain(|_, plan| Arc::strong_count(plan) > 1);
                self.until_sweep = self.max;
            }
            self.until_sweep -= 1;
        }
        if self.by_octets.len() < self.max {
            self.by_octets.insert(octets.into(), Arc::clone(&plan));
        } else {
            self.not_shared += 1;
        }
        Some(plan)
    }

    /// The fixed record format of NetFlow v5 as a plan.
    pub(crate) fn netflow5(&mut self) -> Option<Arc<Plan>> {
        let mut octets = Vec::new();
        TemplateOctets::write(&mut octets, false, 0, v5::FIELDS.into_iter());
        self.plan(&octets)
    }

    /// Plans made without being shared since this was last asked.
    pub(crate) const fn take_not_shared(&mut self) -> u64 {
        std::mem::replace(&mut self.not_shared, 0)
    }
}
