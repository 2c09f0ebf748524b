//! A source address becomes a router; a router owns all that was learnt from it.

use hashbrown::HashMap;

use crate::bmp;
use crate::flow;
use crate::ledger::PacketEnd;
use crate::notification;
use crate::rib::Rib;
use crate::settings::Settings;
use crate::sflow;

/// Position of a router in the collector's table; stable while the router lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouterId(pub u32);

/// What one router told: the unit of ownership, steering, save and restore.
#[derive(Debug)]
pub struct Router {
    /// Its identity: 16 octets, IPv4 as IPv4-mapped.
    pub address: [u8; 16],
    /// Its flow sessions.
    pub flows: flow::Sessions,
    /// Its sFlow sessions.
    pub sflow: sflow::Sessions,
    /// Its UDP-notif sessions.
    pub notifications: notification::Sessions,
    /// Its BMP sessions.
    pub bmp: bmp::Sessions,
    /// Its routes.
    pub rib: Rib,
}

impl Router {
    /// A router of which nothing is known yet.
    #[must_use]
    pub fn new(address: [u8; 16]) -> Self {
        Self {
            address,
            flows: flow::Sessions::default(),
            sflow: sflow::Sessions::default(),
            notifications: notification::Sessions::default(),
            bmp: bmp::Sessions::default(),
            rib: Rib::default(),
        }
    }
}

/// The routers of one worker, bounded by `Settings::max_routers`.
#[derive(Debug, Default)]
pub struct Routers {
    by_address: HashMap<[u8; 16], RouterId>,
    routers: Vec<Option<Box<Router>>>,
}

impl Routers {
    /// The router that an address means, made if there is room.
    ///
    /// # Errors
    /// [`PacketEnd::TooManyRouters`] when the limit is reached.
    pub fn resolve(&mut self, source: [u8; 16], settings: &Settings) -> Result<RouterId, PacketEnd> {
        if let Some(&id) = self.by_address.get(&source) {
            return Ok(id);
        }
        let alias = settings.aliases.iter().find(|(from, _)| *from == source);
        let address = alias.map_or(source, |&(_, router)| router);
        let id = match self.by_address.get(&address) {
            Some(&id) => id,
            None => self.insert(Box::new(Router::new(address)), settings)?,
        };
        if address != source {
            self.by_address.insert(source, id);
        }
        Ok(id)
    }

    /// Puts a router into the table, in the place of one with the same address.
    ///
    /// # Errors
    /// [`PacketEnd::TooManyRouters`] when the limit is reached.
    pub fn insert(&mut self, router: Box<Router>, settings: &Settings) -> Result<RouterId, PacketEnd> {
        let address = router.address;
        if let Some(&id) = self.by_address.get(&address) {
            if let Some(place) = self.routers.get_mut(id.0 as usize) {
                *place = Some(router);
            }
            return Ok(id);
        }
        if self.routers.len() >= settings.max_routers {
            return Err(PacketEnd::TooManyRouters);
        }
        let id = RouterId(u32::try_from(self.routers.len()).map_err(|_| PacketEnd::TooManyRouters)?);
        self.routers.push(Some(router));
        self.by_address.insert(address, id);
        Ok(id)
    }

    /// The router at an id.
    pub fn get_mut(&mut self, id: RouterId) -> Option<&mut Router> {
        self.routers.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The router at an id.
    #[must_use]
    pub fn get(&self, id: RouterId) -> Option<&Router> {
        self.routers.get(id.0 as usize)?.as_deref()
    }

    /// The router with this identity.
    #[must_use]
    pub fn find(&self, address: [u8; 16]) -> Option<RouterId> {
        self.by_address.get(&address).copied()
    }

    /// Places of routers: ids count up to here.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.routers.len()
    }

    /// Whether there never was a router.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.routers.is_empty()
    }

    /// All routers with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (RouterId, &Router)> {
        (0..).zip(&self.routers).filter_map(|(id, router)| Some((RouterId(id), router.as_deref()?)))
    }

    /// All routers with their ids, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (RouterId, &mut Router)> {
        (0..).zip(&mut self.routers).filter_map(|(id, router)| Some((RouterId(id), router.as_deref_mut()?)))
    }
}
