//! `verify` recognises how a body was changed on its way.

use scrapest_webhook::testing;

use super::Case;
use crate::receiving::SECRET;

#[test]
fn a_body_that_gained_or_lost_a_line_end_is_recognised() {
    let body = Case::scrapest().body;
    for end in ["\n", "\r\n"] {
        let case = Case::scrapest();
        let longer = [&case.body, end.as_bytes()].concat();
        case.with_body(longer)
            .expect_refusal("wrong_signature", "a line end was added to the body");
        let signed = testing::scrapest(SECRET).with_body([&body, end.as_bytes()].concat()).sign();
        Case::of("scrapest", &signed)
            .with_body(body.clone())
            .expect_refusal("wrong_signature", "the line end of the body was removed");
    }
}

#[test]
fn a_body_with_other_line_ends_is_recognised() {
    for (signed, received, cause) in [
        ("{\r\n\"a\": 1\r\n}", "{\n\"a\": 1\n}", "from CR LF to LF"),
        ("{\n\"a\": 1\n}", "{\r\n\"a\": 1\r\n}", "from LF to CR LF"),
        ("{}", "\u{feff}{}", "a byte order mark"),
    ] {
        let signed = testing::scrapest(SECRET).with_body(signed).sign();
        Case::of("scrapest", &signed).with_body(received).expect_refusal("wrong_signature", cause);
    }
}

#[test]
fn a_reserialised_body_is_recognised() {
    let received =
        r#"{ "text":"Grüße 🦀", "url":"https://x.com/", "list":[1,2.5,[]],"z":{},"a":null}"#;
    for (signed, name) in [
        (
            r#"{"text":"Grüße 🦀","url":"https://x.com/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "as compact JSON,",
        ),
        (
            r#"{"text":"Gr\u00fc\u00dfe \ud83e\udd80","url":"https://x.com/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "in ASCII,",
        ),
        (
            r#"{"text":"Gr\u00fc\u00dfe \ud83e\udd80","url":"https:\/\/x.com\/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "PHP",
        ),
        (
            r#"{"text": "Gr\u00fc\u00dfe \ud83e\udd80", "url": "https://x.com/", "list": [1, 2.5, []], "z": {}, "a": null}"#,
            "Python",
        ),
        (
            "{\n  \"text\": \"Grüße 🦀\",\n  \"url\": \"https://x.com/\",\n  \"list\": [\n    1,\n    2.5,\n    []\n  ],\n  \"z\": {},\n  \"a\": null\n}",
            "indented by 2",
        ),
        (
            "{\"text\":\"Grüße 🦀\",\"url\":\"https://x.com/\",\"list\":[1,2.5,[]],\"z\":{},\"a\":null}\n",
            "as compact JSON,",
        ),
    ] {
        let signed = testing::scrapest(SECRET).with_body(signed).sign();
        let case = Case::of("scrapest", &signed).with_body(received);
        case.expect_refusal("wrong_signature", "the body was re-serialized");
        Case::of("scrapest", &signed).with_body(received).expect_refusal("wrong_signature", name);
    }
}

#[test]
fn an_encoded_truncated_or_escaped_body_is_recognised() {
    use std::io::Write;

    let time = r#""timestamp":1772625600"#;
    let signed = format!(r#"{{"event":"e",{time},"text":"a \u003c b/c \u00E9 <é>"}}"#);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(signed.as_bytes()).unwrap();
    let form: String =
        signed.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().replace("%20", "+");
    for (received, cause) in [
        (gzip.finish().unwrap(), "compressed with gzip"),
        (data_encoding::BASE64.encode(signed.as_bytes()).into_bytes(), "encoded in base64"),
        (serde_json::Value::from(&*signed).to_string().into_bytes(), "put into a JSON string"),
        (form.clone().into_bytes(), "encoded as a form"),
        (format!("payload={form}&a=b").into_bytes(), "encoded as a form"),
        (signed[..signed.len() - 2].into(), "its last bytes are missing"),
        (Vec::new(), "the body is empty"),
    ] {
        let request = testing::scrapest(SECRET).with_body(signed.clone()).sign();
        Case::of("scrapest", &request).with_body(received).expect_refusal("wrong_signature", cause);
    }
    for (signed, received, cause) in [
        (r"a\u003cb\u003e\u0026", "a<b>&", "signed with `\\u003c` for `<`"),
        ("a<b>&", r"a\u003cb\u003e\u0026", "signed with `<` for `\\u003c`"),
        (r"\u00E9\uD83D", r"\u00e9\ud83d", "signed with upper-case digits"),
        (r"\u00e9", r"\u00E9", "signed with lower-case digits"),
        (r"\u00e9", "é", "signed in ASCII"),
        (r"a\/b", "a/b", r"signed with `\/` for `/`"),
        ("a/b", r"a\/b", r"signed with `/` for `\/`"),
    ] {
        // The layout, which no library writes, is unchanged.
        let body = |text: &str| format!("{{ \"event\":\"e\",\t{time} ,\"text\":\"{text}\"}}");
        let request = testing::scrapest(SECRET).with_body(body(signed)).sign();
        let case = Case::of("scrapest", &request).with_body(body(received));
        case.expect_refusal("wrong_signature", cause);
    }
    // Changed line ends or keys are distinguished from a changed layout.
    let pretty = format!("{{\r\n  \"event\": \"e\",\r\n  {time}\r\n}}");
    let request = testing::scrapest(SECRET).with_body(pretty.clone()).sign();
    let case = Case::of("scrapest", &request).with_body(pretty.replace("\r\n", "\n"));
    case.expect_refusal("wrong_signature", "from CR LF to LF");
    let sorted = format!(r#"{{"a":1,"event":"e",{time}}}"#);
    let request = testing::scrapest(SECRET).with_body(sorted).sign();
    let case = Case::of("scrapest", &request).with_body(format!(r#"{{{time},"event":"e","a":1}}"#));
    case.expect_refusal("wrong_signature", "with sorted keys");
    let case = Case::scrapest();
    let long = [case.body.clone(), b"more".to_vec()].concat();
    let length = case.body.len();
    let mut case = case.with_body(long);
    case.headers += &format!("content-length: {length}\n");
    case.expect_refusal("wrong_signature", "bytes were added");
}
