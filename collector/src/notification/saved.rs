//! UDP-notif sessions of a router as a value that can be stored and moved, and back.

use serde::{Deserialize, Serialize};

use super::publisher::{Key, Publisher, Publishers};
use super::{Sessions, Shared};
use crate::ledger::Ledgers;
use crate::settings::Settings;

/// The UDP-notif sessions of one router: publishers, their numberings and what waits for segments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    publishers: Vec<(Key, Publisher)>,
}

impl Sessions {
    /// All that the sessions know.
    pub(crate) fn save(&self) -> Saved {
        Saved {
            publishers: self.publishers.iter().map(|(key, publisher)| (*key, publisher.clone())).collect(),
        }
    }

    /// Sessions that know what was saved, within the limits of these settings.
    pub(crate) fn restore(saved: Saved, shared: &Shared, settings: &Settings, ledgers: &mut Ledgers) -> Self {
        let mut publishers = Publishers::default();
        for (key, publisher) in saved.publishers.into_iter().take(settings.max_publishers_per_router.max(1)) {
            publishers.insert(key, publisher, shared, settings, ledgers);
        }
        let due_ns = publishers.due_ns(settings);
        Self { publishers, due_ns }
    }
}
