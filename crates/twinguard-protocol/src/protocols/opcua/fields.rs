//! Header fields under Wireshark's names (`opcua.*`), in order of appearance.
//!
//! Source: OPC 10000-6 1.05 §6.7.2, §7.1.2, for their order.

use super::reader::{Identifier, Reader};
use super::service;
use super::view::{MessageType, View};
use crate::protocol::Field;

/// Names the fields of the headers, and what opens channels and subscriptions.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let number = |value: u32| Field::Number(u64::from(value));
    let status = |value: u32| Field::Hex(u64::from(value), 8);
    put("opcua.transport.type", Field::Text(view.message().as_str().as_bytes()));
    put("opcua.transport.chunk", Field::Text(&[view.chunk()]));
    let size = view.as_bytes().get(4..).and_then(<[u8]>::first_chunk);
    put("opcua.transport.size", number(size.map_or(0, |size| u32::from_le_bytes(*size))));
    if let Some(limits) = view.limits() {
        put("opcua.transport.ver", number(limits.version));
        put("opcua.transport.rbs", number(limits.receive));
        put("opcua.transport.sbs", number(limits.send));
        put("opcua.transport.mms", number(limits.message));
        put("opcua.transport.mcc", number(limits.chunks));
    }
    if let Some((server, endpoint)) = view.endpoint() {
        if view.message() == MessageType::ReverseHello {
            put("opcua.transport.suri", Field::Text(server));
        }
        put("opcua.transport.endpoint", Field::Text(endpoint));
    }
    if let Some(channel) = view.channel() {
        put("opcua.transport.scid", number(channel));
    }
    if view.message() == MessageType::Open
        && let Ok((policy, certificate, thumbprint, _)) = view.opening()
    {
        put("opcua.security.spu", Field::Text(policy));
        put("opcua.security.scert", Field::Bytes(certificate));
        put("opcua.security.rcthumb", Field::Bytes(thumbprint));
    }
    if let Some(token) = view.token() {
        put("opcua.security.tokenid", number(token));
    }
    if let Some((sequence, request)) = view.sequence() {
        put("opcua.security.seq", number(sequence));
        put("opcua.security.rqid", number(request));
    }
    if let Some((code, reason)) = view.failure() {
        put("opcua.transport.error", status(code));
        put("opcua.transport.reason", Field::Text(reason));
    }
    body(view, put);
}

fn body(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let mut reader = Reader::new(view.body());
    let mask = view.body().first().copied();
    let (Some(mask), Ok(node)) = (mask, reader.node_id()) else { return };
    put("opcua.servicenodeid.encodingmask", Field::Hex(u64::from(mask), 2));
    put("opcua.servicenodeid.nsid", Field::Number(u64::from(node.namespace)));
    let Identifier::Numeric(number) = node.id else { return };
    put("opcua.servicenodeid.numeric", Field::Number(u64::from(number)));
    let Some((handle, result)) = view.handle() else { return };
    put("opcua.RequestHandle", Field::Number(u64::from(handle)));
    if let Some(result) = result {
        put("opcua.ServiceResult", Field::Hex(u64::from(result), 8));
    }
    let _ = details(view, put);
}

/// What is told of services that open something.
fn details(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) -> Option<()> {
    let number = |value: u32| Field::Number(u64::from(value));
    let service = view.service()?;
    let mut reader = Reader::new(view.body());
    service::skip_header(service, &mut reader).ok()?;
    match service {
        service::OPEN => {
            put("opcua.ClientProtocolVersion", number(reader.u32().ok()?));
            put("opcua.SecurityTokenRequestType", Field::Hex(u64::from(reader.u32().ok()?), 8));
            put("opcua.MessageSecurityMode", Field::Hex(u64::from(reader.u32().ok()?), 8));
            put("opcua.ClientNonce", Field::Bytes(reader.text().ok()?.unwrap_or_default()));
            put("opcua.RequestedLifetime", number(reader.u32().ok()?));
        }
        service::OPENED => {
            put("opcua.ServerProtocolVersion", number(reader.u32().ok()?));
            put("opcua.ChannelId", number(reader.u32().ok()?));
            put("opcua.TokenId", number(reader.u32().ok()?));
            reader.take(8).ok()?;
            put("opcua.RevisedLifetime", number(reader.u32().ok()?));
            put("opcua.ServerNonce", Field::Bytes(reader.text().ok()?.unwrap_or_default()));
        }
        service::MONITOR | service::PUBLISHED | 763 | 769 | 775 | 781 | 790 | 793 | 832 => {
            put("opcua.SubscriptionId", number(reader.u32().ok()?));
        }
        _ => {}
    }
    Some(())
}
