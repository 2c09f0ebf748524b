//! Schema of routes, and of NLRI that are no IP prefix.

use collector::ledger::{Kind, RouteAction};
use serde_json::{Value, json};
use wire::bmp::RibView;

use super::part::{
    address, distinguisher, hex, list, numbers, object, prefix, reference, text, unsigned, words,
};
use super::record;

/// The views of a RIB.
pub(super) fn rib_view() -> Value {
    words(&RibView::ALL.map(RibView::name))
}

pub(super) fn route() -> Value {
    let actions: Vec<&str> = RouteAction::ALL.iter().map(|action| action.name()).collect();
    let mut properties = of_nlri();
    merge(
        &mut properties,
        json!({
            "session": unsigned(),
            "seq": unsigned(),
            "bmpVersion": {"enum": [3, 4]},
            "peer": reference("bmpPeer"),
            "ribView": rib_view(),
            "action": words(&actions),
            "pathId": unsigned(),
            "attributes": reference("attributes"),
            "tlvs": list(indexed_tlv()),
        }),
    );
    record(Kind::Route, properties, &["session", "bmpVersion", "peer", "ribView", "action", "afi", "safi"])
}

/// A route of a mirrored UPDATE.
pub(super) fn mirrored() -> Value {
    let mut properties = of_nlri();
    merge(&mut properties, json!({"action": words(&["announce", "withdraw"])}));
    object(properties, &["action", "afi", "safi"])
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn of_nlri() -> Value {
    json!({
        "afi": unsigned(),
        "safi": unsigned(),
        "prefix": prefix(),
        "nlri": nlri(),
        "rd": distinguisher(),
        "labels": numbers(),
    })
}

/// A TLV of BMP version 4 about an NLRI.
fn indexed_tlv() -> Value {
    object(
        json!({
            "type": unsigned(),
            "name": text(),
            "index": unsigned(),
            "enterprise": unsigned(),
            "value": {"type": ["string", "null"]},
            "reason": unsigned(),
            "reasonText": text(),
            "timestampType": unsigned(),
        }),
        &["type", "index", "value"],
    )
}

/// NLRI of every family that is not an IP prefix: their octets, and the keys of their kind as far as they read.
fn nlri() -> Value {
    let component =
        object(json!({"type": text(), "prefix": prefix(), "offset": unsigned(), "match": text()}), &["type"]);
    object(
        json!({
            "raw": hex(),
            // EVPN and multicast VPN.
            "routeType": unsigned(),
            "rd": distinguisher(),
            "esi": text(),
            "ethernetTag": unsigned(),
            "mac": text(),
            "ip": address(),
            "prefix": prefix(),
            "gateway": address(),
            "labels": numbers(),
            "source": address(),
            "group": address(),
            "originator": address(),
            "sourceAs": unsigned(),
            "flags": unsigned(),
            // Flowspec.
            "components": list(component),
            // BGP-LS.
            "type": text(),
            "protocol": text(),
            "identifier": unsigned(),
            "local": node(),
            "remote": node(),
            "linkLocalId": unsigned(),
            "linkRemoteId": unsigned(),
            "interfaceAddress": address(),
            "neighborAddress": address(),
            "interfaceIpv6Address": address(),
            "neighborIpv6Address": address(),
            "ospfRouteType": unsigned(),
            "multiTopologyIds": numbers(),
            "srv6Sid": address(),
            // SR policy.
            "distinguisher": unsigned(),
            "color": unsigned(),
            "endpoint": address(),
            // Route target constraints.
            "length": unsigned(),
            "originAs": unsigned(),
            "routeTarget": text(),
            // VPLS.
            "edgeId": unsigned(),
            "blockOffset": unsigned(),
            "blockSize": unsigned(),
            "labelBase": unsigned(),
        }),
        &["raw"],
    )
}

/// A node descriptor of BGP-LS.
fn node() -> Value {
    object(
        json!({
            "autonomousSystem": unsigned(),
            "bgpLsId": unsigned(),
            "ospfAreaId": unsigned(),
            "igpRouterId": hex(),
            "bgpRouterId": address(),
            "confederationMember": unsigned(),
        }),
        &[],
    )
}
