//! Published vectors first; then what each rule refuses.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

/// RFC 7515 appendices A.2 and A.3: the keys.
const RSA: &str = r#"{"kty":"RSA","kid":"r","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const EC: &str = r#"{"kty":"EC","kid":"e","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// RFC 8037 appendix A.2.
const ED: &str =
    r#"{"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 8037 appendix A.1, `d`.
const SECRET: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
/// RFC 7515 appendix A.2.1: the payload of most examples.
const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const NOW: i64 = 1_800_000_000;

fn set(keys: &[&str]) -> Vec<u8> {
    format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes()
}

fn provider() -> Provider {
    Provider {
        issuer: "https://idp.example".into(),
        audiences: vec!["twinguard".into(), "other".into()],
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        leeway: Duration::from_secs(30),
        max_age: None,
        authorized_parties: Vec::new(),
        name_claim: "sub".into(),
        prefix: String::new(),
        groups_claim: "realm_access.roles".into(),
        roles: BTreeMap::from([("plant-operators".into(), "operator".into())]),
        keys: Keys::parse(&set(&[RSA, EC, ED])).unwrap(),
    }
}

fn key() -> EncodingKey {
    // RFC 8410 §7: what stands before the 32 bytes.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(SECRET);
    EncodingKey::from_ed_der(&der)
}

fn header() -> Header {
    let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some("d".into());
    header
}

/// Claims of a good token, some of them exchanged or (by `null`) taken out.
fn claims(changed: &Value) -> Map<String, Value> {
    let good = json!({
        "iss": "https://idp.example", "aud": "twinguard", "sub": "anna", "iat": NOW - 10, "exp": NOW + 300,
        "realm_access": { "roles": ["plant-operators", "staff"] },
    });
    let mut claims = good.as_object().unwrap().clone();
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.remove(name)
        } else {
            claims.insert(name.clone(), value.clone())
        };
    }
    claims
}

fn signed(changed: &Value) -> String {
    encode(&header(), &claims(changed), &key()).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

#[test]
fn published_signatures_are_verified() {
    let rs256 = format!(
        "eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let es256 = format!(
        "eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let mut provider = provider();
    provider.issuer = "joe".into();
    for token in [&rs256, &es256] {
        // Their signatures are right; whom they are for they do not say.
        assert_eq!(provider.verify(now(), token, None), Err(Refused::Claim("aud".into())), "{token}");
        let (head, tail) = token.split_at(token.len() - 12);
        let altered = format!("{head}AAAA{}", &tail[4..]);
        assert_eq!(provider.verify(now(), &altered, None), Err(Refused::Signature));
        let other = token.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Uj", 1);
        assert!(provider.verify(now(), &other, None).is_err());
    }
    // RFC 8037 appendix A.4 signs a text that is no JSON.
    let eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(provider.verify(now(), eddsa, None), Err(Refused::NoToken));
    let altered = eddsa.replacen("RXhh", "RXhi", 1);
    assert_eq!(provider.verify(now(), &altered, None), Err(Refused::Signature));
}

#[test]
fn a_good_token_names_a_person_with_the_roles_of_their_groups() {
    let person = provider().verify(now(), &signed(&json!({})), None).unwrap();
    let anna = Principal::new("anna").kind(PrincipalKind::User).role("operator");
    let groups = vec!["plant-operators".to_owned(), "staff".to_owned()];
    let until = Timestamp::from_secs(NOW + 330);
    assert_eq!(person, Person { principal: anna, groups, until });

    let mut named = provider();
    (named.name_claim, named.groups_claim) = ("https://example.com/name".into(), "scope".into());
    let changed = json!({ "https://example.com/name": "Ben", "scope": "read plant-operators" });
    let person = named.verify(now(), &signed(&changed), None).unwrap();
    assert!(&*person.principal.name == "Ben" && person.principal.has_role("operator"));
    named.prefix = "contractor ".into();
    let person = named.verify(now(), &signed(&json!({ "https://example.com/name": "Ben" })), None).unwrap();
    assert!(person.principal.roles.is_empty(), "no groups are no groups");
    assert_eq!(&*person.principal.name, "contractor Ben");
}

#[test]
fn algorithms_that_nobody_listed_are_refused() {
    // RFC 7515 appendices A.5 (unsecured) and A.1 (a shared secret).
    let unsecured = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    let shared = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    for token in [unsecured, shared] {
        assert_eq!(provider().verify(now(), &token, None), Err(Refused::Algorithm), "{token}");
    }
    // The public key as a shared secret (RFC 8725 §2.1).
    for public in [RSA, EC, ED, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"] {
        let mut header = Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some("d".into());
        let secret = EncodingKey::from_secret(public.as_bytes()).unwrap();
        let token = encode(&header, &claims(&json!({})), &secret).unwrap();
        assert_eq!(provider().verify(now(), &token, None), Err(Refused::Algorithm));
    }
    // One that is known and not listed; and a key of another algorithm by its name.
    let mut narrow = provider();
    narrow.algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
    assert_eq!(narrow.verify(now(), &signed(&json!({})), None), Err(Refused::Algorithm));
    for kid in ["r", "e", "unheard of"] {
        let mut header = header();
        header.kid = Some(kid.into());
        let token = encode(&header, &claims(&json!({})), &key()).unwrap();
        assert_eq!(provider().verify(now(), &token, None), Err(Refused::Key), "{kid}");
    }
}

#[test]
fn a_token_without_key_id_needs_the_only_key() {
    let token = encode(&Header::new(jsonwebtoken::Algorithm::EdDSA), &claims(&json!({})), &key()).unwrap();
    assert!(provider().verify(now(), &token, None).is_ok());
    let second = ED.replace("\"d\"", "\"d2\"").replace("11qYAYKxCrfVS", "11qYAYKxCrfVT");
    let mut two = provider();
    two.keys = Keys::parse(&set(&[ED, &second])).unwrap();
    assert_eq!(two.verify(now(), &token, None), Err(Refused::Key));
    let other = signed(&json!({})).replacen("eyJ", "eyK", 1);
    assert_eq!(provider().verify(now(), &other, None), Err(Refused::NoToken));
}

#[test]
fn every_claim_counts() {
    let check = |changed: Value, expected: Result<(), Refused>| {
        let verified = provider().verify(now(), &signed(&changed), None).map(|_| ());
        assert_eq!(verified, expected, "{changed}");
    };
    let bad = |name: &str| Err(Refused::Claim(name.into()));
    check(json!({ "iss": "https://idp.example/" }), Err(Refused::Issuer));
    check(json!({ "iss": null }), bad("iss"));
    check(json!({ "aud": ["x", "other"] }), Ok(()));
    check(json!({ "aud": "twinguard other" }), Err(Refused::Audience));
    check(json!({ "aud": [] }), Err(Refused::Audience));
    check(json!({ "aud": [7] }), bad("aud"));
    check(json!({ "aud": null }), bad("aud"));
    check(json!({ "exp": NOW - 29 }), Ok(()));
    check(json!({ "exp": NOW - 30 }), Err(Refused::Expired));
    check(json!({ "exp": null }), bad("exp"));
    check(json!({ "exp": "1900000000" }), bad("exp"));
    check(json!({ "exp": 1e300 }), bad("exp"));
    check(json!({ "exp": -1 }), bad("exp"));
    check(json!({ "iat": NOW + 30 }), Ok(()));
    check(json!({ "iat": NOW + 31 }), Err(Refused::Early));
    check(json!({ "iat": null }), bad("iat"));
    check(json!({ "nbf": NOW + 30 }), Ok(()));
    check(json!({ "nbf": f64::from(NOW as u32) + 30.5 }), Err(Refused::Early));
    check(json!({ "nbf": "soon" }), bad("nbf"));
    check(json!({ "sub": "" }), bad("sub"));
    check(json!({ "sub": "a\nb" }), bad("sub"));
    check(json!({ "sub": "x".repeat(257) }), bad("sub"));
    check(json!({ "sub": 7 }), bad("sub"));
    check(json!({ "realm_access": { "roles": { "a": 1 } } }), bad("realm_access.roles"));
    check(json!({ "realm_access": { "roles": [["a"]] } }), bad("realm_access.roles"));
    check(json!({ "realm_access": "x" }), Ok(()));
}

#[test]
fn age_party_nonce_type_and_length_count_where_they_are_asked_for() {
    let mut provider = provider();
    provider.max_age = Some(Duration::from_secs(5));
    let person = provider.verify(now(), &signed(&json!({})), None).unwrap();
    assert_eq!(person.until, Timestamp::from_secs(NOW + 25));
    assert_eq!(provider.verify(now(), &signed(&json!({ "iat": NOW - 35 })), None), Err(Refused::Expired));
    provider.max_age = None;

    provider.authorized_parties = vec!["page".into()];
    for (changed, expected) in [
        (json!({ "azp": "page" }), None),
        (json!({ "client_id": "page" }), None),
        (json!({ "azp": "x", "client_id": "page" }), Some(Refused::Audience)),
        (json!({}), Some(Refused::Claim("client_id".into()))),
    ] {
        assert_eq!(provider.verify(now(), &signed(&changed), None).err(), expected, "{changed}");
    }
    provider.authorized_parties.clear();

    let answer = signed(&json!({ "nonce": "n-1" }));
    assert!(provider.verify(now(), &answer, Some("n-1")).is_ok());
    assert_eq!(provider.verify(now(), &answer, Some("n-2")), Err(Refused::Nonce));
    assert_eq!(provider.verify(now(), &signed(&json!({})), Some("n-1")), Err(Refused::Claim("nonce".into())));

    for (kind, good) in [("JWT", true), ("at+JWT", true), ("application/at+jwt", true), ("logout+jwt", false)]
    {
        let header = Header { typ: Some(kind.into()), ..header() };
        let token = encode(&header, &claims(&json!({})), &key()).unwrap();
        assert_eq!(provider.verify(now(), &token, None).err(), (!good).then_some(Refused::Type), "{kind}");
    }
    let long = signed(&json!({ "padding": "x".repeat(LONGEST) }));
    assert_eq!(provider.verify(now(), &long, None), Err(Refused::TooLong));
    for token in ["", ".", "..", "a.b.c", "a.b.c.d"] {
        assert_eq!(provider.verify(now(), token, None), Err(Refused::NoToken), "{token}");
    }
    // A header that nobody here understands has to be understood (RFC 7515 §4.1.11).
    let header = Header { crit: Some(vec!["b64".into()]), ..header() };
    let token = encode(&header, &claims(&json!({})), &key()).unwrap();
    assert_eq!(provider.verify(now(), &token, None), Err(Refused::NoToken));
}

#[test]
fn altered_tokens_are_refused() {
    let token = signed(&json!({}));
    let last = token.len() - 1;
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        // Unused bits of the last letter are refused by the decoder.
        assert!(provider().verify(now(), &altered, None).is_err(), "{at} of {last}");
        assert!(provider().verify(now(), &token[..at], None).is_err());
    }
}

#[test]
fn sets_of_keys_are_read_with_care() {
    let told = |keys: &[&str]| Keys::parse(&set(keys)).map(|keys| format!("{keys:?}"));
    assert_eq!(told(&[RSA, ED]), Ok("[(Some(\"r\"), Rs256), (Some(\"d\"), EdDsa)]".to_owned()));
    // What is left out: encryption, shared secrets, other curves and kinds, another algorithm than the key's.
    let left_out = [
        RSA.replace("\"kid\"", "\"use\":\"enc\",\"kid\""),
        ED.replace("\"kid\"", "\"key_ops\":[\"sign\"],\"kid\""),
        EC.replace("\"kid\"", "\"alg\":\"ES384\",\"kid\""),
        RSA.replace("\"kid\"", "\"alg\":\"PS256\",\"kid\""),
        r#"{"kty":"oct","kid":"s","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#
            .to_owned(),
        r#"{"kty":"AKP","kid":"p","alg":"ML-DSA-44","pub":"AA"}"#.to_owned(),
    ];
    for key in &left_out {
        assert_eq!(told(&[key]), Err("holds no key to verify ES256, RS256 or EdDSA by".to_owned()), "{key}");
        assert!(told(&[key, ED]).is_ok());
    }
    let starts = |keys: &[&str], expected: &str| {
        let error = told(keys).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    };
    starts(&[ED, ED], "two keys have the `kid` `d`");
    starts(&[&ED.replace("PcHURo", "Pc")], "key `d`: its numbers have not the length of its curve");
    starts(&[&RSA.replace("AQAB", "AQ")], "key `r`: its modulus has not 2048 to 8192 bits");
    starts(
        &[r#"{"kty":"RSA","kid":"s","n":"AQAB","e":"AQAB"}"#],
        "key `s`: its modulus has not 2048 to 8192 bits",
    );
    assert!(Keys::parse(b"{}").unwrap_err().starts_with("is no JSON Web Key Set: "));
    assert!(Keys::parse(&vec![b' '; 300_000]).unwrap_err().starts_with("is larger than"));
    let many: Vec<_> = (0..101).map(|at| ED.replace("\"d\"", &format!("\"{at}\""))).collect();
    starts(&many.iter().map(String::as_str).collect::<Vec<_>>(), "holds more than 100 keys");
}
