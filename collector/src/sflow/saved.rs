//! sFlow sessions of a router as a value that can be stored and moved, and back.

use serde::{Deserialize, Serialize};

use super::Sessions;
use super::agent::{Agent, Agents, Key};
use crate::saved::Refused;
use crate::settings::Settings;

/// The sFlow sessions of one router: agents and their numberings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    agents: Vec<(Key, Agent)>,
}

impl Sessions {
    /// All that the sessions know.
    pub(crate) fn save(&self) -> Saved {
        Saved { agents: self.agents.iter().map(|(key, agent)| (*key, agent.clone())).collect() }
    }

    /// Sessions that know what was saved.
    pub(crate) fn restore(saved: Saved, settings: &Settings) -> Result<Self, Refused> {
        if saved.agents.len() > settings.max_agents_per_router.max(1) {
            return Err(Refused::TooMany("sFlow agents"));
        }
        let mut agents = Agents::default();
        for (key, agent) in saved.agents {
            if agent.sources() > settings.max_sources_per_agent {
                return Err(Refused::TooMany("sFlow sources"));
            }
            agents.insert(key, agent);
        }
        let due_ns = agents.due_ns();
        Ok(Self { agents, due_ns })
    }
}
