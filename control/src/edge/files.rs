//! The SDK and the demo page: files inside the program, or in a folder of whoever works on them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "sdk/src"]
struct Sdk;

#[derive(RustEmbed)]
#[folder = "sdk/demo"]
struct Demo;

/// Which of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// `/sdk/`
    Sdk,
    /// `/demo/`
    Demo,
}

/// Largest file that is served from a folder, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A file as an answer: 404 if there is none. `path` is what stands behind the tree's name in the URL.
pub async fn file(tree: Tree, path: &str, folder: Option<&Path>) -> Response {
    let path = if path.is_empty() { "index.html" } else { path };
    let content = match folder {
        _ if !is_plain(path) => None,
        None => embedded(tree, path),
        Some(folder) => from_folder(tree, path, folder).await,
    };
    let Some(content) = content else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(path)),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content.into_owned()).into_response()
}

/// Whether every part of the path is an ordinary name: nothing leads out of the tree.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    })
}

fn embedded(tree: Tree, path: &str) -> Option<Cow<'static, [u8]>> {
    let file = match tree {
        Tree::Sdk => Sdk::get(path),
        Tree::Demo => Demo::get(path),
    };
    file.map(|file| file.data)
}

async fn from_folder(tree: Tree, path: &str, folder: &Path) -> Option<Cow<'static, [u8]>> {
    let root = folder.join(match tree {
        Tree::Sdk => "src",
        Tree::Demo => "demo",
    });
    // Links may lead out of the folder.
    let root: PathBuf = tokio::fs::canonicalize(root).await.ok()?;
    let file = tokio::fs::canonicalize(root.join(path)).await.ok()?;
    if !file.starts_with(&root) {
        return None;
    }
    let about = tokio::fs::metadata(&file).await.ok()?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return None;
    }
    tokio::fs::read(file).await.ok().map(Cow::Owned)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/vnd.microsoft.icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_tree() {
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            ".git",
            "a/.x",
            "a\\b",
            "%2e%2e",
            "",
        ] {
            assert!(!is_plain(path), "{path}");
        }
        for path in ["wsc.js", "msrp/reader.js", "wsc.global.js"] {
            assert!(is_plain(path), "{path}");
        }
    }

    #[tokio::test]
    async fn the_sdk_and_the_page_are_inside_with_their_types() {
        for (tree, path, kind) in [
            (Tree::Sdk, "wsc.js", "text/javascript; charset=utf-8"),
            (Tree::Demo, "", "text/html; charset=utf-8"),
            (Tree::Demo, "demo.css", "text/css; charset=utf-8"),
        ] {
            let response = file(tree, path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
        }
        assert_eq!(
            file(Tree::Sdk, "../demo/demo.js", None).await.status(),
            StatusCode::NOT_FOUND
        );
    }

    #[tokio::test]
    async fn a_folder_is_served_in_their_place_and_its_links_do_not_lead_out() {
        let folder = std::env::temp_dir().join(format!("causeway-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("demo")).unwrap();
        std::fs::write(folder.join("secret.txt"), "secret").unwrap();
        std::fs::write(folder.join("demo/index.html"), "mine").unwrap();
        std::os::unix::fs::symlink(folder.join("secret.txt"), folder.join("demo/link.txt"))
            .unwrap();
        let served = file(Tree::Demo, "", Some(&folder)).await;
        let outside = file(Tree::Demo, "link.txt", Some(&folder)).await;
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(outside.status(), StatusCode::NOT_FOUND);
    }
}
