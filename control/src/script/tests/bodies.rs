//! Bodies and feature tags, as scripts read and write them.

use super::*;

/// Runs a body whose last lines say something; gives what was said.
fn said(body: &str) -> Vec<String> {
    let actions = try_body(body).unwrap_or_else(|error| panic!("{error}"));
    actions.log.into_iter().map(|line| line.text).collect()
}

#[test]
fn an_envelope_goes_out_and_comes_in_the_same() {
    let told = said(
        r#"
        let text = buildCpim(#{ from: "sip:a@x", messageId: "m1", dateTime: "2026-01-01T00:00:00Z",
            notify: ["positive-delivery", "display"], contentType: "text/plain;charset=UTF-8", content: "Grüße" });
        let back = parseCpim(text);
        print(`${back.from} ${back.to} ${back.messageId} ${back.notify} ${mediaType(back.contentType)} ${back.content}`);
        let imdn = buildImdn(#{ messageId: back.messageId, kind: "display", status: "displayed" });
        print(parseImdn(imdn).status);
        let both = buildMultipart([#{ contentType: "application/sdp", content: "v=0\r\n" },
            #{ contentType: "message/cpim", content: text, headers: #{ "Content-ID": "<x>" } }], "mixed");
        let parts = parseMultipart(both.content, both.contentType);
        print(`${parts.len} ${parts[1].headers["content-id"]} ${parseCpim(parts[1].content).content}`);
        "#,
    );
    let nobody = "sip:anonymous@anonymous.invalid";
    assert_eq!(
        told,
        [
            format!("sip:a@x {nobody} m1 [\"positive-delivery\", \"display\"] text/plain Grüße"),
            "displayed".to_owned(),
            "2 <x> Grüße".to_owned(),
        ]
    );
}

#[test]
fn what_is_no_text_passes_whatever_its_size() {
    // An array could not have so many.
    let told = said(
        r#"
        let text = "";
        text.pad(40000, "/");
        let icon = #{ contentType: "image/png", content: decodeBase64(text), headers: #{ "Content-Transfer-Encoding": "base64" } };
        let both = buildMultipart([#{ contentType: "application/sdp", content: "v=0" }, icon], "related");
        let content = parseMultipart(both.content, both.contentType)[1].content;
        print(`${type_of(content)} ${content.len} ${encodeBase64(content) == text} ${contentId("cid:x@h")}`);
        "#,
    );
    assert_eq!(told, ["octets 30000 true <x@h>"]);
}

#[test]
fn lists_presence_and_typing_go_out_and_come_in_the_same() {
    let told = said(
        r#"
        let list = buildResourceLists(["sip:a@x", #{ uri: "sip:b@x", name: "B", role: "to" }]);
        let back = parseResourceLists(list.content);
        print(`${list.contentType} ${back.len} ${back[1].name} ${back[1].role}`);
        let pidf = buildPidf(#{ entity: "sip:a@x", tuples: [#{ open: true, service: "s", version: "1.0" }] });
        print(parsePidf(pidf).tuples[0].service);
        print(parseIsComposing(buildIsComposing(#{ active: true, refresh: 90 })).refresh);
        "#,
    );
    assert_eq!(told, ["application/resource-lists+xml 2 B to", "s", "90"]);
}

#[test]
fn feature_tags_are_whole_items_both_ways() {
    let actions = try_body(
        r#"
        let items = parseFeatureTags(["*;+g.oma.sip-im;+g.3gpp.iari-ref=\"urn%3Aa,urn%3Ab\""]);
        print(`${items}`);
        let request = context.sipFactory.createSipRequest("OPTIONS");
        request.setHeader("Accept-Contact", "*" + buildFeatureTags(items));
        request.setFeatureTags(items);
        request.send();
        "#,
    )
    .unwrap();
    assert_eq!(
        actions.log[0].text,
        r#"["+g.oma.sip-im", "iari:urn:a", "iari:urn:b"]"#
    );
    let Outbound::SipRequest(request) = &actions.outbound[0] else {
        panic!("{:?}", actions.outbound)
    };
    let list = "+g.3gpp.iari-ref=\"urn%3Aa,urn%3Ab\"";
    assert_eq!(request.headers[0].1, format!("*;+g.oma.sip-im;{list}"));
    assert_eq!(
        request.contact_params[0],
        ("+g.oma.sip-im".to_owned(), None)
    );
    assert_eq!(
        request.contact_params[1].1.as_deref(),
        Some("\"urn%3Aa,urn%3Ab\"")
    );
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place_that_a_script_may_catch() {
    let error = try_body("parseCpim(\"x\");").unwrap_err();
    assert!(error.to_string().contains("p/p.rhai:2"), "{error}");
    let told = said("try { parseImdn(\"<a/>\"); } catch (why) { print(why); }");
    assert!(told[0].contains("not imdn"), "{told:?}");
    for body in [
        "buildCpim(#{ from: \"a\\r\\nb\", contentType: \"text/plain\" });",
        "buildCpim(#{ contentType: \"odd\" });",
        "buildFeatureTags([\"q\"]);",
        "buildResourceLists([]);",
        "parseMultipart(7, \"multipart/mixed;boundary=b\");",
    ] {
        assert!(try_body(body).is_err(), "{body}");
    }
}
