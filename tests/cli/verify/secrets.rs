//! `verify` recognises a secret that was copied or encoded in another way, and never prints it.

use scrapest_webhook::testing::{self, SignedRequest};
use support::Folder;

use super::{Case, header_lines};
use crate::receiving::{SECRET, command, run};

/// The flags of `verify` for this request, with the secret in a file.
fn flags(folder: &Folder, signed: &SignedRequest, secret: &[u8]) -> String {
    let body = folder.write("body", signed.body());
    let headers = folder.write("headers", header_lines(signed));
    let secret = folder.write("secret", secret);
    format!("verify --sender scrapest --secret-file {secret} --file {body} --header @{headers}")
}

#[test]
fn a_secret_in_another_form_is_recognised_and_not_printed() {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for (given, cause) in [
        (format!(" {SECRET}"), "spaces or a line end around it"),
        (format!("'{SECRET}'"), "in quotes"),
        (format!("\"{SECRET}\"\n"), "in quotes"),
        (hex.clone(), "hexadecimal"),
        (hex.to_uppercase(), "hexadecimal"),
        ("d2hzZWMtdGVzdC1zZWNyZXQtMDAwMQ==".to_owned(), "base64"),
        ("d2hzZWMtdGVzdC1zZWNyZXQtMDAwMQ".to_owned(), "base64"),
    ] {
        let case = Case { secret: given, ..Case::scrapest() };
        case.expect_refusal("wrong_signature", cause);
    }
}

#[test]
fn a_secret_with_a_prefix_a_name_or_another_encoding_is_recognised() {
    let utf_16: Vec<u8> =
        [0xfeff].into_iter().chain(SECRET.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let folder = Folder::new();
    let key = [0x91; 18];
    let base64 = data_encoding::BASE64.encode(&key);
    for (secret, given, cause) in [
        // A file that is clearly not a secret is refused before any check.
        (SECRET.as_bytes(), utf_16, "is UTF-16, expected"),
        (SECRET.as_bytes(), [b"\xef\xbb\xbf", SECRET.as_bytes()].concat(), "byte order mark"),
        (SECRET.as_bytes(), format!("SECRET={SECRET}\n").into(), "NAME=value, expected"),
        (SECRET.as_bytes(), format!("\"{SECRET}\"").into(), "in quotes"),
        (b"0123456789abcdef", b"whsec_0123456789abcdef".to_vec(), "has the prefix `whsec_`"),
        (b"whsec_0123456789abcdef", b"0123456789abcdef".to_vec(), "lacks its prefix `whsec_`"),
        (&key, format!("whsec_{base64}").into(), "is given in base64"),
        (&key, base64.clone().into(), "is given in base64"),
    ] {
        let flags = flags(&folder, &testing::scrapest(secret).sign(), &given);
        let ran = run(&mut command(&flags));
        let said = [&*ran.stdout, &*ran.stderr].concat();
        assert!(said.contains(cause), "expected {cause:?}: {ran:?}");
        assert!(!said.contains("0123456789abcdef") && !said.contains(SECRET), "{ran:?}");
        // The value of a variable may be a secret in this form, so it is checked.
        if let (Ok(given), "NAME=value, expected") = (String::from_utf8(given), cause) {
            let file = format!("--secret-file {}", folder.file("secret"));
            let flags = flags.replace(&file, "--secret-env GIVEN");
            let ran = run(command(&flags).env("GIVEN", given));
            assert!(ran.stdout.contains("like NAME=value"), "{ran:?}");
        }
    }
}

#[test]
fn a_secret_whose_line_end_counts_is_recognised() {
    let secret = format!("{SECRET}\n");
    let signed = testing::scrapest(&secret).sign();
    let folder = Folder::new();
    let flags = flags(&folder, &signed, secret.as_bytes());
    let ran = run(&mut command(&flags));
    assert!(ran.stdout.contains("ends with a line end that belongs to the secret"), "{ran:?}");
}

#[test]
fn a_different_secret_is_suggested_if_nothing_else_fits() {
    let case = Case { secret: "whsec_of_somebody_else_0123".to_owned(), ..Case::scrapest() };
    case.expect_refusal("wrong_signature", "most likely the secret");
}
