//! The attribute `#[schism::test]`; its crate is `schism`, which documents it.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ItemFn, Lit, MetaNameValue, ReturnType, Token, parse_macro_input};

/// Makes a seeded chaos test of a function that returns a fresh `schism::harness::Service`.
///
/// `scenario = "..."` names a scenario that schism carries, or a file in the package. `seeds = 20` is how many seeds
/// are tried unless `SCHISM_SEEDS` says otherwise. `isolation = "thread"` lets all runs share the test's process,
/// which is right only for code that starts its tasks with `Host::spawn`; the default is `"process"`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as Arguments);
    let function = parse_macro_input!(item as ItemFn);
    expand(&arguments, &function).unwrap_or_else(Error::into_compile_error).into()
}

struct Arguments {
    scenario: String,
    seeds: u64,
    isolation: Tokens,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Arguments> {
        let (mut scenario, mut seeds) = (None, 20);
        let mut isolation = quote!(Process);
        for argument in input.parse_terminated(MetaNameValue::parse, Token![,])? {
            let value = literal(&argument.value)?;
            match (argument.path.get_ident().map(ToString::to_string).as_deref(), value) {
                (Some("scenario"), Lit::Str(text)) => scenario = Some(text.value()),
                (Some("seeds"), Lit::Int(number)) => match number.base10_parse()? {
                    0 => return Err(Error::new_spanned(number, "a test needs at least one seed")),
                    count => seeds = count,
                },
                (Some("isolation"), Lit::Str(text)) => {
                    isolation = match text.value().as_str() {
                        "process" => quote!(Process),
                        "thread" => quote!(Thread),
                        _ => return Err(Error::new_spanned(text, "isolation is \"process\" or \"thread\"")),
                    }
                }
                _ => {
                    let help = "expected scenario = \"...\", seeds = 20 or isolation = \"process\"";
                    return Err(Error::new_spanned(argument, help));
                }
            }
        }
        let missing = || input.error("name a scenario: #[schism::test(scenario = \"split-brain\")]");
        Ok(Arguments { scenario: scenario.ok_or_else(missing)?, seeds, isolation })
    }
}

fn literal(value: &Expr) -> syn::Result<Lit> {
    match value {
        Expr::Lit(literal) => Ok(literal.lit.clone()),
        other => Err(Error::new_spanned(other, "expected a literal")),
    }
}

fn expand(arguments: &Arguments, function: &ItemFn) -> syn::Result<Tokens> {
    let signature = &function.sig;
    if let Some(input) = signature.inputs.first() {
        return Err(Error::new_spanned(input, "the function takes nothing: it makes a fresh service for each run"));
    }
    if let Some(word) = &signature.asyncness {
        return Err(Error::new_spanned(word, "the function makes a service and is not async; Service::node is"));
    }
    let ReturnType::Type(_, service) = &signature.output else {
        return Err(Error::new_spanned(signature, "the function returns the service under test"));
    };
    let (name, body, attributes) = (&signature.ident, &function.block, &function.attrs);
    let text = name.to_string();
    let Arguments { scenario, seeds, isolation } = arguments;
    Ok(quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        fn #name() {
            fn service() -> #service #body
            ::schism::harness::Test {
                module: ::core::module_path!(),
                function: #text,
                package: ::core::env!("CARGO_PKG_NAME"),
                folder: ::core::env!("CARGO_MANIFEST_DIR"),
                file: ::core::file!(),
                scenario: #scenario,
                seeds: #seeds,
                isolation: ::schism::harness::Isolation::#isolation,
            }
            .check(service);
        }
    })
}
