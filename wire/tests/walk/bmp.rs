//! A BMP stream read to its end by every view there is. Panics if a place lies outside of its message.

use std::fmt::{Debug, Display, Write};

use wire::bgp::nlri::flowspec::Condition;
use wire::bgp::prefix_sid::PrefixSidTlv;
use wire::bgp::{AsWidth, Entry, Family, Nlri, Open, Session, Update, Value};
use wire::bmp::{self, Framed, Message, PeerDown, PeerUp, Profile, RibView, RouteMonitoring, Tagged};
use wire::malformed::Malformed;

/// Longest message accepted: beyond what a fuzzer makes.
const MAX_LENGTH: usize = 1 << 16;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) messages: usize,
    pub(crate) routes: usize,
    pub(crate) attributes: usize,
    pub(crate) findings: usize,
    pub(crate) errors: usize,
    /// Octets missing to the next whole message; nothing where the stream is out of step.
    pub(crate) missing: Option<usize>,
    /// Length of the message at hand.
    length: usize,
    /// Octets printed, so that nothing read is optimised away.
    printed: usize,
}

impl Write for Found {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.printed += text.len();
        Ok(())
    }
}

/// Reads the stream up to its end, or to where it is out of step.
pub(crate) fn walk(mut octets: &[u8]) -> Found {
    let mut found = Found::default();
    loop {
        match bmp::frame(octets, MAX_LENGTH) {
            Framed::Whole(frame) => {
                octets = &octets[frame.octets.len()..];
                found.length = frame.octets.len();
                match frame.message() {
                    Ok(message) => found.message(&message),
                    Err(malformed) => found.error(malformed),
                }
            }
            Framed::NeedMore(missing) => {
                found.missing = Some(missing);
                return found;
            }
            Framed::Malformed(malformed) => {
                found.length = octets.len();
                found.error(malformed);
                return found;
            }
        }
    }
}

/// Reads the body of one UPDATE by itself: the reading of a stream's route monitoring without its headers.
pub(crate) fn walk_update(octets: &[u8]) -> Found {
    let mut found = Found { length: octets.len(), ..Found::default() };
    found.update(&Update::parse(wire::Cursor::new(octets)));
    found
}

impl Found {
    fn message(&mut self, message: &Message<'_>) {
        self.messages += 1;
        match message {
            Message::RouteMonitoring(monitoring) => self.monitoring(monitoring),
            Message::StatisticsReport(report) => {
                report.statistics().for_each(|statistic| self.check(statistic));
                report.tlvs().for_each(|tlv| self.check(tlv));
            }
            Message::PeerDown(down) => self.peer_down(down),
            Message::PeerUp(up) => self.peer_up(up),
            Message::Initiation(initiation) => {
                initiation.tlvs().for_each(|tlv| self.check(tlv));
                initiation.strings().chain(initiation.sys_name()).for_each(|text| self.print(text));
            }
            Message::Termination(termination) => {
                termination.tlvs().for_each(|tlv| self.check(tlv));
                self.debug(termination.reason());
            }
            Message::RouteMirroring(mirroring) => {
                for mirrored in mirroring.mirrored() {
                    if let Some(message) = mirrored.ok().and_then(|mirrored| mirrored.message()) {
                        self.update(&Update::parse(message.body));
                    }
                }
            }
            Message::Unknown { body, .. } => self.debug(body),
        }
    }

    fn peer_down(&mut self, down: &PeerDown<'_>) {
        down.tlvs().for_each(|tlv| self.check(tlv));
        down.table_name().into_iter().for_each(|name| self.print(name));
        if let Some(notification) = down.notification() {
            self.debug((notification.text(), notification.shutdown_text()));
        }
    }

    fn peer_up(&mut self, up: &PeerUp<'_>) {
        up.tlvs().for_each(|tlv| self.check(tlv));
        RibView::ALL.into_iter().for_each(|view| self.debug(up.session(view)));
        self.open(&up.sent_open);
        self.open(&up.received_open);
    }

    fn open(&mut self, open: &Open<'_>) {
        for capability in open.capabilities() {
            match capability {
                Ok(capability) => self.debug(capability.value()),
                Err(malformed) => self.error(malformed),
            }
        }
        self.debug((open.autonomous_system(), open.families().count(), open.add_path().count()));
    }

    fn monitoring(&mut self, monitoring: &RouteMonitoring<'_>) {
        if monitoring.version == 3 {
            return match monitoring.update() {
                Ok(update) => self.update(&update),
                Err(malformed) => self.error(malformed),
            };
        }
        for profile in [None, Some(Profile::Draft21), Some(Profile::Draft20), Some(Profile::Draft06)] {
            match monitoring.tagged(profile) {
                Ok(tagged) => self.tagged(&tagged),
                Err(malformed) => self.error(malformed),
            }
        }
    }

    fn tagged(&mut self, tagged: &Tagged<'_>) {
        for tlv in tagged.tlvs() {
            match tlv {
                Ok(tlv) => self.debug(tlv.value(tagged.meaning(&tlv))),
                Err(malformed) => self.error(malformed),
            }
        }
        (0..4).for_each(|nlri| self.debug(tagged.about(nlri).count()));
        self.read_under(&tagged.update, &tagged.session(Session::FOUR_OCTET));
    }

    fn update(&mut self, update: &Update<'_>) {
        let every = || Family::KNOWN.into_iter().collect();
        let all = Session { add_path: every(), multiple_labels: every(), ..Session::FOUR_OCTET };
        let narrow = Session { as_width: AsWidth::Two, external: Some(true), ..all };
        for session in [Session::FOUR_OCTET, all, narrow] {
            self.debug((update.end_of_rib(), session.plausible_as_width(update)));
            self.read_under(update, &session);
        }
    }

    fn read_under(&mut self, update: &Update<'_>, session: &Session) {
        let findings = update.findings(session);
        findings.iter().for_each(|finding| self.place(finding.malformed));
        self.findings += findings.count();
        for judged in update.judge(session) {
            self.attributes += 1;
            self.value(&judged.value);
        }
        for routes in update.routes() {
            match routes {
                Ok(routes) => routes.entries(session).for_each(|entry| self.entry(entry)),
                Err(finding) => self.error(finding.malformed),
            }
        }
    }

    fn value(&mut self, value: &Value<'_>) {
        self.debug(value);
        if let Value::AsPath(path) = value {
            self.debug((path.numbers().count(), path.origin(), path.hops(), path.is_sequence()));
        }
        if let Value::ExtendedCommunities(communities) = value {
            communities.for_each(|community| self.print(community));
        }
        if let Value::Tunnels(tunnels) = value {
            tunnels.flat_map(|tunnel| tunnel.sub_tlvs()).for_each(|tlv| self.debug((tlv.name(), tlv)));
        }
        if let Value::LinkState(tlvs) = value {
            tlvs.flatten().for_each(|tlv| self.debug(tlv.value(None)));
        }
        if let Value::PrefixSid(tlvs) = value {
            for tlv in *tlvs {
                if let PrefixSidTlv::Srv6Service { sids, .. } = tlv {
                    sids.for_each(|sid| self.debug(sid));
                }
            }
        }
        if let Value::Engineering(descriptors) = value {
            descriptors.for_each(|descriptor| self.debug(descriptor));
        }
        if let Value::PeLabels(labels) = value {
            labels.for_each(|label| self.debug(label));
        }
        if let Value::BgpsecPath(path) = value {
            let signatures = path.blocks().flat_map(|block| block.signatures());
            self.debug((path.segments().count(), signatures.count()));
        }
        if let Value::DomainPath(path) = value {
            path.for_each(|domain| self.print(domain));
        }
        if let Value::ServicePath(path) = value {
            path.for_each(|tlv| self.debug(tlv));
        }
        if let Value::AttrSet(set) = value {
            self.debug(set.attributes.flatten().count());
        }
    }

    fn entry(&mut self, entry: Result<Entry<'_>, Malformed>) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(malformed) => return self.error(malformed),
        };
        assert!(entry.offset + entry.octets.len() <= self.length);
        self.routes += 1;
        self.debug((entry.path_id, entry.nlri.check(), entry.nlri.distinguisher()));
        entry.nlri.prefix().into_iter().for_each(|prefix| self.print(prefix));
        match entry.nlri {
            Nlri::Labeled(labeled) => labeled.labels.for_each(|label| self.print(label)),
            Nlri::Vpn(vpn) => vpn.labels.for_each(|label| self.print(label)),
            Nlri::Evpn(evpn) => self.debug(evpn.route()),
            Nlri::McastVpn(mcast) => self.debug(mcast.route()),
            Nlri::Flowspec(rule) => {
                for component in rule.components().flatten() {
                    match component.condition {
                        Condition::Prefix { prefix, .. } => self.print(prefix),
                        Condition::Number(numbers) => self.print(numbers),
                        Condition::Bits(bits) => self.print(bits),
                    }
                }
            }
            Nlri::BgpLs(nlri) => {
                let descriptors = nlri.object().into_iter().flat_map(|object| object.descriptors);
                descriptors.flatten().for_each(|tlv| self.debug(tlv.value(nlri.version())));
            }
            Nlri::Prefix(_) | Nlri::SrPolicy(_) | Nlri::RouteTarget(_) | Nlri::Vpls(_) | Nlri::Raw(_) => {}
        }
    }

    fn check(&mut self, read: Result<impl Debug, Malformed>) {
        match read {
            Ok(value) => self.debug(value),
            Err(malformed) => self.error(malformed),
        }
    }

    fn error(&mut self, malformed: Malformed) {
        self.errors += 1;
        self.place(malformed);
    }

    fn place(&self, malformed: Malformed) {
        assert!(malformed.offset as usize <= self.length, "{malformed}");
    }

    fn debug(&mut self, value: impl Debug) {
        write!(self, "{value:?}").expect("a count takes any text");
    }

    fn print(&mut self, value: impl Display) {
        write!(self, "{value}").expect("a count takes any text");
    }
}
