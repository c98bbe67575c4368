//! Functions that do not fit on a screen.

use super::Tree;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Longest function, in lines, signature and closing brace included.
pub const LINES: usize = 70;

/// Functions that are longer, tests among them.
pub fn long_functions(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, code) in tree.iter().filter(|(file, _)| file.ends_with(".rs")) {
        let tokens: TokenStream = code.parse().expect("source files are Rust");
        let mut found = Vec::new();
        measure(tokens, &mut found);
        let long = found.into_iter().filter(|function| function.lines > LINES);
        wrong.extend(long.map(|Function { name, line, lines }| format!("{file}:{line}: `{name}` has {lines} lines")));
    }
    wrong
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

fn measure(tokens: TokenStream, found: &mut Vec<Function>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match (token, tokens.get(at + 1)) {
            (TokenTree::Group(group), _) => measure(group.stream(), found),
            (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "fn" => {
                if let Some(end) = tokens[at..].iter().find_map(end_line) {
                    let line = word.span().start().line;
                    found.extend(end.map(|end| Function { name: name.to_string(), line, lines: end - line + 1 }));
                }
            }
            _ => {}
        }
    }
}

/// Where a function's body ends; `Some(None)` where it has none.
fn end_line(token: &TokenTree) -> Option<Option<usize>> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(Some(group.span_close().end().line)),
        TokenTree::Punct(punct) if punct.as_char() == ';' => Some(None),
        _ => None,
    }
}
