//! The session description in a message that is sent, and who wrote it.

use link::Leg;

use crate::bodies::multipart;
use crate::bodies::part::essence;
use crate::script::{Content, Outbound, WebKind};

/// The media type of a description.
const SDP: &str = "application/sdp";

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
    let sdp = match is_multipart(content) {
        true => multipart::read(&content.mime, &content.data)
            .ok()?
            .into_iter()
            .find(|part| essence(part.content_type()) == SDP)
            .map(|part| part.content)?,
        false => content.data.clone(),
    };
    (!sdp.is_empty()).then_some(sdp)
}

pub(super) fn set_sdp(outbound: &mut Outbound, sdp: Vec<u8>) {
    let content = match outbound {
        Outbound::Web(web) => {
            let text = String::from_utf8_lossy(&sdp).into_owned();
            web.payload.insert("sdp".into(), text.into());
            return;
        }
        Outbound::SipRequest(request) => &mut request.content,
        Outbound::SipResponse(response) => &mut response.content,
    };
    let Some(content) = content else { return };
    if !is_multipart(content) {
        content.data = sdp;
    } else if let Ok(data) = multipart::with_content(&content.mime, &content.data, SDP, &sdp) {
        // Where the description was found before it is found again.
        content.data = data;
    }
}

/// Whether the description stands beside something else, such as a list of recipients.
fn is_multipart(content: &Content) -> bool {
    essence(&content.mime).starts_with("multipart/")
}
