//! What a file's code names, and where in the crate that is.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The module path of a source file: `src/fault/mod.rs` is `fault`, `src/fault/fold.rs` is `fault/fold`.
pub fn module(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").to_string()
}

/// Every path that code names, expanded (`a::{b, c::d}` is two), without what `#[cfg(test)]` guards.
pub fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens: TokenStream = code.parse().expect("source files are Rust");
    let mut paths = Vec::new();
    collect(&tokens.into_iter().collect::<Vec<_>>(), &[], &mut paths);
    paths
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Adds the paths in `tokens`; `prefix` is the path before a group in a `use`.
fn collect(tokens: &[TokenTree], prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' && guards_tests(tokens.get(at + 1)) => {
                at += 2;
                while at < tokens.len() && !ends_item(&tokens[at]) {
                    at += 1;
                }
            }
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                collect(&inner, &[], paths);
            }
            TokenTree::Ident(first) => {
                let mut path = prefix.to_vec();
                path.push(first.to_string());
                while is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':') {
                    match tokens.get(at + 3) {
                        Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            let inner: Vec<_> = group.stream().into_iter().collect();
                            collect(&inner, &path, paths);
                        }
                        _ => break,
                    }
                    at += 3;
                }
                paths.push(path);
            }
            _ => {}
        }
        at += 1;
    }
}

fn guards_tests(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

/// A path as seen from the crate's root, if it leads into this crate: `fault/model/Target`.
pub fn internal(file: &str, path: &[String]) -> Option<String> {
    let own = module(file);
    let mut base: Vec<&str> = own.split('/').collect();
    let mut rest = path;
    match path[0].as_str() {
        "crate" | "schism" => base.clear(),
        "self" | "super" => {}
        // A re-export of a child module that has a floor of its own.
        _ if file.ends_with("/mod.rs") && path.len() > 1 => base.push(&path[0]),
        _ => return None,
    }
    while let Some("super") = rest.first().map(String::as_str) {
        base.pop();
        rest = &rest[1..];
    }
    if rest.len() == path.len() {
        rest = &rest[1..];
    }
    base.extend(rest.iter().map(String::as_str));
    Some(base.join("/"))
}
