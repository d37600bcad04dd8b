//! The session description in a message that is sent, and who wrote it.

use link::Leg;

use crate::script::{Outbound, WebKind};

/// Where the SDP of a message comes from: what goes to the browser came from leg B.
pub(super) fn source_of(outbound: &Outbound) -> Leg {
    match outbound {
        Outbound::Web(_) => Leg::B,
        Outbound::SipRequest(_) | Outbound::SipResponse(_) => Leg::A,
    }
}

pub(super) fn is_offer(outbound: &Outbound) -> bool {
    match outbound {
        Outbound::Web(web) => web.kind == WebKind::Request,
        Outbound::SipRequest(_) => true,
        Outbound::SipResponse(_) => false,
    }
}

/// The names of the session-configs that an offer's message was given: of the leg toward who has offered, and
/// of the one on which it goes out.
pub(super) fn legs_of(outbound: &Outbound) -> (Option<&str>, Option<&str>) {
    let legs = match outbound {
        Outbound::Web(web) => &web.legs,
        Outbound::SipRequest(request) => &request.legs,
        Outbound::SipResponse(_) => return (None, None),
    };
    (legs.from.as_deref(), legs.to.as_deref())
}

pub(super) fn sdp_of(outbound: &Outbound) -> Option<Vec<u8>> {
    let content = match outbound {
        Outbound::Web(web) => {
            let sdp = web.payload.get("sdp")?.as_str()?;
            return (!sdp.is_empty()).then(|| sdp.as_bytes().to_vec());
        }
        Outbound::SipRequest(request) => request.content.as_ref()?,
        Outbound::SipResponse(response) => response.content.as_ref()?,
    };
    (!content.data.is_empty()).then(|| content.data.clone())
}

pub(super) fn set_sdp(outbound: &mut Outbound, sdp: Vec<u8>) {
    match outbound {
        Outbound::Web(web) => {
            let text = String::from_utf8_lossy(&sdp).into_owned();
            web.payload.insert("sdp".into(), text.into());
        }
        Outbound::SipRequest(request) => {
            if let Some(content) = &mut request.content {
                content.data = sdp;
            }
        }
        Outbound::SipResponse(response) => {
            if let Some(content) = &mut response.content {
                content.data = sdp;
            }
        }
    }
}
