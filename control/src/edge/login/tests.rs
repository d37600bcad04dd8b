//! Logins of every kind.

use std::net::IpAddr;
use std::path::PathBuf;

use argon2::password_hash::{PasswordHasher, SaltString};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Keys of these tests and of nothing else.
const RSA: &str = "-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCIhW4DnzQbYLiy
DzbpTqoE3ZsR3NEez/n8RXsQy8Ycehb+LnSc/gtUvWyjHE+IjTRjeEWGavr6Sefq
ZztkaNHd7YXyk6ux5vO82fFEfCDD/nXO5svu7tRJ40ncPdJdhpXr9CvL73FM4Yux
jIbLxutZIhOhQiQgYtbzsKRdcR2SqQneqYVDGqh5YN5AktcHAWype2MPFq6+HL9S
kaP/RIhQTIxLMLcR2XCucichZdBwM2xEZVIOj3QFBU+92YQ5CpnymfcGoCKG82AQ
/62gxcxo+LGru6G4WnbRzlJT290kMhGygScoyxjIpRFzEiaUx1uq4WNtC7Hyh0Ft
YAndXlaBAgMBAAECggEAB5tDl3ER4qqfb9BYM2SeJXpBbxvaDPjyiUNHyZZI+gI1
cMEe3zZqZDTPrkDgD5AqiJZFbWldhX+Dq/RHg18xvkdDLNJcgSOIlg+gmTu/SZxO
bRI/75af/mPrFBnftDVQ+h4XKJw1OF7ivShCxGzXZRZ4eIYqZCGNr3M6nTg1uRuc
KZamXK5zBhiJ7BwniSTKaALykEFtWsrwDnFXLOR1PJZX5ogm/yrXugVkkfZbKSnr
sWeDpntSrjLy0dHFI5ZN3TZtlE0aFW+kWmgS2hrUlEEYrTyCSYB7j/FD0SHMGq9v
3+LDPjgmkSmG2ugQskRk6yAQD786amT1SzjqGoXw6QKBgQDAFfbvk0eJ8DTEN+yY
duB2zDw2CdqDBnZJDPhg/k+ASadz4e3l1qdRqcpyZr86tIShq4sqN8t0GCKETy/K
B50CWj7PsnZJTR5/eOV8kM1wDO1LfLaa9/GSll7a3xxdYTXdWTnGuN4bZakbMyOq
6MEW60nd9RRXvph5RxMRcCALHQKBgQC18mzUnugjKOjL7EANL5oalGolnBvF56di
TKbavI6qE+y/LBaBxrjpXCRIJEYbf4Y1dEa23CF6QzcQOYPEQ3wkndbN0dHV9pT9
Df6NCCPrjK/yqDlBXHyWYd3nZBbfUgDB3+B74sU357FCrB0z9osKWNCKkJbEVoo7
x8e99fx3tQKBgBCl1rEM4rZhyzD2Z9sO8oVZTh6g2/9fIAFUznIZmGpV991jR2sU
H4xEWvdvUEOWQaiBZZ5TF58IOHWfJ1UrM8BwceEuZnIT7QC/SaRyKFv9wtM4C9uC
gb1iqvXtQFgXhMOaaBeBDj7xoKZq2DyHz7Rc0Bock5bHPg/EyTJJtX1BAoGAeREO
iYwTOxIFlWtmU1/RUs5esxflAxLZtfb7L6E37MPFTI+xijkI4X6GRdqdK773Nqpg
Q1zGiewfv5QFsZqWCGdefyWWUqD5Ekk1j/JStHGwwe5d6rf3zrjgRw+6iG6wQlEN
tmF2iXSJ5qtP4zux2PiwCwOazpom8RBGQIhlreECgYBWuUzjkrtHBWlgByvUG4hM
gn8IRSkQxsMkrc5l0VAI3TVPlqh7Ii3YbCUSv+guvtUBOHiyNOxaKoltjPyFOkfv
OLC7vL9PI4wB1KKQRmgp1iYIvNwj61sOS4NQO/0Z4xjXHm+smwWZe+iMXvoa9WzH
KY6JJBYaA3nh1bYxmYRkBw==
-----END PRIVATE KEY-----";
const EC: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZuM7+uggzbNdTxLf
E2tUQLP/QfSYDG3qayEWU6HIu6ihRANCAAS7sA5Aojsc/LkCjDV+sQy+wTXNNmgc
C6wwyRAyCIm673Mktrye/eF4H62WQtdbs1DT1WNQ8zZMo4FI1QnljW44
-----END PRIVATE KEY-----";
const ED: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEID7IaenbsFkkV/JZ+rE8NJs7OYCW/1j85SuJh/fzi5OH
-----END PRIVATE KEY-----";
const RSA_N: &str = "iIVuA580G2C4sg826U6qBN2bEdzRHs_5_EV7EMvGHHoW_i50nP4LVL1soxxPiI00Y3hFhmr6-knn6mc7ZGjR3e2F8pOrsebzvNnxRHwgw_51zubL7u7USeNJ3D3SXYaV6_Qry-9xTOGLsYyGy8brWSIToUIkIGLW87CkXXEdkqkJ3qmFQxqoeWDeQJLXBwFsqXtjDxauvhy_UpGj_0SIUEyMSzC3EdlwrnInIWXQcDNsRGVSDo90BQVPvdmEOQqZ8pn3BqAihvNgEP-toMXMaPixq7uhuFp20c5SU9vdJDIRsoEnKMsYyKURcxImlMdbquFjbQux8odBbWAJ3V5WgQ";
const EC_X: &str = "u7AOQKI7HPy5Aow1frEMvsE1zTZoHAusMMkQMgiJuu8";
const EC_Y: &str = "cyS2vJ794XgfrZZC11uzUNPVY1DzNkyjgUjVCeWNbjg";
const ED_X: &str = "s53jVy7moNQ26bnjr46pAqvObCx7pvpDA1ZxiRC9vfY";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// The year 2100.
const LATER: u64 = 4_102_444_800;

/// A file that goes when the test ends.
struct File(PathBuf);

impl File {
    fn of(name: &str, text: &str) -> File {
        let name = format!("causeway-login-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn key_file(name: &str) -> File {
    let secret = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(SECRET);
    let keys = json!({"keys": [
        {"kty": "oct", "kid": "h", "alg": "HS256", "k": secret},
        {"kty": "RSA", "kid": "r", "alg": "RS256", "n": RSA_N, "e": "AQAB"},
        {"kty": "EC", "kid": "e", "alg": "ES256", "crv": "P-256", "x": EC_X, "y": EC_Y},
        {"kty": "OKP", "kid": "d", "alg": "EdDSA", "crv": "Ed25519", "x": ED_X},
    ]});
    File::of(name, &keys.to_string())
}

fn with_tokens(file: &File) -> config::Login {
    config::Login {
        tokens: Some(config::Tokens {
            keys: file.0.clone(),
            issuer: Some("https://id.example.com".into()),
            audience: Some("rtc".into()),
            user: "sub".into(),
        }),
        ..config::Login::default()
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "iss": "https://id.example.com", "aud": "rtc", "exp": LATER, "jti": "1"})
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn showing(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
    headers
}

fn alice() -> Result<Login, Denied> {
    Ok(Login::User("alice@localhost".into()))
}

#[tokio::test]
async fn a_token_of_every_kind_of_key_holds_and_says_who_it_is() {
    let file = key_file("kinds");
    let door = Door::open(Some(&with_tokens(&file)), "localhost").unwrap();
    let kinds = [
        (
            "h",
            Algorithm::HS256,
            EncodingKey::from_secret(SECRET.as_bytes()),
        ),
        (
            "r",
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        ),
        (
            "e",
            Algorithm::ES256,
            EncodingKey::from_ec_pem(EC.as_bytes()).unwrap(),
        ),
        (
            "d",
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ED.as_bytes()).unwrap(),
        ),
    ];
    for (id, algorithm, key) in kinds {
        for kid in [Some(id.to_owned()), None] {
            let head = Header {
                kid,
                ..Header::new(algorithm)
            };
            let token = encode(&head, &claims(), &key).unwrap();
            let headers = showing(&format!("Bearer {token}"));
            assert_eq!(
                door.admit(&headers, "", HERE).await,
                alice(),
                "{algorithm:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_and_its_source_slowed_down() {
    let file = key_file("wrong");
    let door = Door::open(Some(&with_tokens(&file)), "localhost").unwrap();
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        signed(&claims)
    };
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_owned();
    // The public key taken for a secret.
    let confused = EncodingKey::from_secret(RSA_N.as_bytes());
    let head = Header {
        kid: Some("r".into()),
        ..Header::new(Algorithm::HS256)
    };
    let tokens = [
        changed("iss", "https://other.example".into()),
        changed("aud", "other".into()),
        changed("nbf", LATER.into()),
        changed("sub", Value::Null),
        format!("{}x", signed(&claims())),
        none,
        encode(&head, &claims(), &confused).unwrap(),
        "x".repeat(10_000),
    ];
    for token in tokens {
        let headers = showing(&format!("Bearer {token}"));
        assert_eq!(
            door.admit(&headers, "", HERE).await,
            Err(Denied::Unproven),
            "{token}"
        );
    }
    let headers = showing(&format!(
        "Bearer {}",
        changed("sub", "alice@elsewhere.example".into())
    ));
    assert_eq!(door.admit(&headers, "", HERE).await, Err(Denied::Forbidden));
    assert_eq!(
        door.admit(&HeaderMap::new(), "", HERE).await,
        Err(Denied::Unproven)
    );
    let good = showing(&format!("Bearer {}", signed(&claims())));
    assert_eq!(door.admit(&good, "", HERE).await, Err(Denied::TooOften));
    let other: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(door.admit(&good, "", other).await, alice());
}

#[tokio::test]
async fn a_token_in_a_url_begins_one_session_and_brings_back_any() {
    let file = key_file("once");
    let door = Door::open(Some(&with_tokens(&file)), "localhost").unwrap();
    let query = |token: String| format!("a=b&access_token={token}");
    let again = Ok(Login::Returning("alice@localhost".into()));
    let none = HeaderMap::new();
    assert_eq!(
        door.admit(&none, &query(signed(&claims())), HERE).await,
        alice()
    );
    assert_eq!(
        door.admit(&none, &query(signed(&claims())), HERE).await,
        again
    );
    let mut late = claims();
    late["exp"] = 1_000_000.into();
    assert_eq!(door.admit(&none, &query(signed(&late)), HERE).await, again);
    let mut nameless = claims();
    nameless["jti"] = Value::Null;
    assert_eq!(
        door.admit(&none, &query(signed(&nameless)), HERE).await,
        Err(Denied::Unproven)
    );
}

#[tokio::test]
async fn a_password_is_compared_with_its_hash() {
    let salt = SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
    // Weak on purpose: this is a test.
    let weak = argon2::Params::new(16, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let hash = argon2.hash_password("sésame:1".as_bytes(), &salt).unwrap();
    let file = File::of("passwords", &format!("# users\nalice:{hash}\n"));
    let login = config::Login {
        guests: true,
        passwords: Some(file.0.clone()),
        ..config::Login::default()
    };
    let door = Door::open(Some(&login), "localhost").unwrap();
    let basic = |text: &str| showing(&format!("basic {}", BASE64_STANDARD.encode(text)));
    assert_eq!(
        door.admit(&basic("alice:sésame:1"), "", HERE).await,
        alice()
    );
    for wrong in ["alice:sesame", "bob:sésame:1", "alice", ""] {
        assert_eq!(
            door.admit(&basic(wrong), "", HERE).await,
            Err(Denied::Unproven),
            "{wrong}"
        );
    }
    assert_eq!(
        door.admit(&HeaderMap::new(), "", HERE).await,
        Ok(Login::Guest)
    );
    let response = door.refuse(&Denied::Unproven);
    assert!(
        response.headers()[header::WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
}

#[tokio::test]
async fn somebody_else_may_decide() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/who?x=1", server.local_addr().unwrap());
    let answers = [
        "200 OK\r\nX-User: alice",
        "401 No",
        "403 No",
        "200 OK",
        "500 Oh",
    ];
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut octets = vec![0; 4096];
            let count = stream.read(&mut octets).await.unwrap();
            asked.push(String::from_utf8_lossy(&octets[..count]).to_lowercase());
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    let login = config::Login {
        callout: Some(url),
        ..config::Login::default()
    };
    let door = Door::open(Some(&login), "localhost").unwrap();
    let mut cookie = HeaderMap::new();
    cookie.insert(header::COOKIE, "sid=1".parse().unwrap());
    let (unproven, unavailable) = (Err(Denied::Unproven), Err(Denied::Unavailable));
    let expected = [
        alice(),
        unproven,
        Err(Denied::Forbidden),
        unavailable,
        Err(Denied::Unavailable),
    ];
    for (at, expected) in expected.into_iter().enumerate() {
        let admitted = match at {
            0 => {
                door.admit(&HeaderMap::new(), "access_token=t0k3n", HERE)
                    .await
            }
            _ => door.admit(&cookie, "", HERE).await,
        };
        assert_eq!(admitted, expected, "{at}");
    }
    let asked = asked.await.unwrap();
    assert!(
        asked[0].starts_with("get /who?x=1 http/1.1\r\n"),
        "{}",
        asked[0]
    );
    assert!(
        asked[0].contains("authorization: bearer t0k3n\r\n"),
        "{}",
        asked[0]
    );
    assert!(asked[1].contains("cookie: sid=1\r\n"), "{}", asked[1]);
    assert_eq!(
        door.admit(&HeaderMap::new(), "", HERE).await,
        Err(Denied::Unproven)
    );
}

#[test]
fn a_file_or_url_that_cannot_be_used_is_said_with_its_place() {
    let file = File::of("bad", "alice:secret\n");
    let said = |login: config::Login| match Door::open(Some(&login), "localhost") {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    let passwords = said(config::Login {
        passwords: Some(file.0.clone()),
        ..config::Login::default()
    });
    assert!(passwords.contains("line 1 is not USER:HASH"), "{passwords}");
    let tokens = said(with_tokens(&file));
    assert!(tokens.starts_with("login.tokens.keys: "), "{tokens}");
    let callout = said(config::Login {
        callout: Some("https://id.example.com".into()),
        ..config::Login::default()
    });
    assert!(callout.contains("no http:// URL"), "{callout}");
}
