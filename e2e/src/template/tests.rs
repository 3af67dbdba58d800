//! What OpenShift's processor does with the same input, case by case.

#![allow(
    clippy::needless_pass_by_value,
    reason = "values are `json!` literals: a `&` before each would only be noise"
)]

use serde_json::{Value, json};

use super::{Error, Template};

/// A template with these parameters (name and value) and one object.
fn template(parameters: &[(&str, &str)], object: Value) -> Template {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    parse(json!({"parameters": parameters, "objects": [object]}))
}

fn parse(mut more: Value) -> Template {
    more["apiVersion"] = json!("template.openshift.io/v1");
    more["kind"] = json!("Template");
    more["metadata"] = json!({"name": "test"});
    Template::parse(&more.to_string()).unwrap()
}

const NOTHING: [&str; 0] = [];

/// The data that an object with this data becomes.
fn data(parameters: &[(&str, &str)], data: Value) -> Value {
    let object = json!({"kind": "ConfigMap", "data": data});
    let list = template(parameters, object).process(&NOTHING).unwrap();
    list["items"][0]["data"].clone()
}

#[test]
fn a_list_is_made_of_all_objects_in_their_order() {
    let one = parse(json!({"objects": [{"kind": "A"}, {"kind": "B"}]}));
    assert_eq!(
        one.process(&NOTHING).unwrap(),
        json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [{"kind": "A"}, {"kind": "B"}]})
    );
}

#[test]
fn a_reference_is_replaced_anywhere_in_a_text_and_in_keys() {
    let parameters = [("A", "one"), ("B_2", "two"), ("EMPTY", "")];
    for (before, after) in [
        ("${A}", "one"),
        ("x${A}-${B_2}y", "xone-twoy"),
        ("${A}${A}", "oneone"),
        ("$${A}", "$one"),
        ("${EMPTY}", ""),
        ("é${A}ü", "éoneü"),
        // No parameter of that name, or no reference: left alone.
        ("${C}", "${C}"),
        ("${a}", "${a}"),
        ("${A", "${A"),
        ("${}", "${}"),
        ("${A-B}", "${A-B}"),
        ("$A", "$A"),
        ("${ A }", "${ A }"),
        ("${${A}}", "${one}"),
        ("$", "$"),
        ("${", "${"),
    ] {
        assert_eq!(data(&parameters, json!({"k": before}))["k"], after);
        assert_eq!(data(&parameters, json!({before: "v"})), json!({after: "v"}));
        let deep = data(&parameters, json!([[{"k": [before, 1, null, true]}]]));
        assert_eq!(deep, json!([[{"k": [after, 1, null, true]}]]));
    }
}

#[test]
fn a_whole_double_reference_becomes_json_and_anything_else_stays_text() {
    for (value, after) in [
        ("1", json!(1)),
        ("-1.5", json!(-1.5)),
        ("1e3", json!(1000)),
        ("true", json!(true)),
        ("\"1\"", json!("1")),
        (r#"{"a": ["b", 2.0]}"#, json!({"a": ["b", 2]})),
        ("[]", json!([])),
        ("word", json!("word")),
        ("", json!("")),
        ("{broken", json!("{broken")),
        // JSON, not YAML.
        ("a: b", json!("a: b")),
        ("{a: b}", json!("{a: b}")),
        ("yes", json!("yes")),
        // What comes out is not looked at again.
        (r#"["${A}"]"#, json!(["${A}"])),
    ] {
        assert_eq!(data(&[("A", value)], json!({"k": "${{A}}"}))["k"], after);
    }
    for text in [
        "x${{A}}",
        "${{A}}x",
        "${{B}}",
        "${{ A }}",
        "${{A}",
        "${{A}}${{A}}",
    ] {
        assert_eq!(data(&[("A", "1")], json!({"k": text}))["k"], text);
    }
}

#[test]
fn a_value_that_holds_a_reference_takes_part_in_later_replacements() {
    let parameters = [("A", "${B}"), ("B", "b")];
    assert_eq!(data(&parameters, json!({"k": "${A}"}))["k"], "${B}");
    assert_eq!(data(&parameters, json!({"k": "${A}-${B}"}))["k"], "b-${B}");
    assert_eq!(data(&parameters, json!({"k": "${B}-${A}"}))["k"], "b-${B}");
}

#[test]
fn a_value_cannot_break_out_of_its_text() {
    let hostile = "\"}\n- kind: Pod\t'\\ #{{ .x }} ${";
    assert_eq!(data(&[("A", hostile)], json!({"k": "${A}"}))["k"], hostile);
}

#[test]
fn null_takes_the_key_away_and_is_an_error_in_a_list_or_as_a_key() {
    let parameters = [("A", "null")];
    assert_eq!(
        data(&parameters, json!({"a": "${{A}}", "b": "${A}"})),
        json!({"b": "null"})
    );
    let object = |data: Value| json!({"kind": "ConfigMap", "data": data});
    let refused = |data: Value| {
        template(&parameters, object(data))
            .process(&NOTHING)
            .unwrap_err()
    };
    assert!(matches!(refused(json!(["${{A}}"])), Error::NullItem));
    assert!(matches!(
        refused(json!({"${{A}}": 1})),
        Error::Key(_, Value::Null)
    ));
    assert!(matches!(
        refused(json!({"${A}": 1, "null": 2})),
        Error::Collision(_)
    ));
}

#[test]
fn arguments_win_over_values_and_may_hold_anything_after_the_first_equals_sign() {
    let template = template(&[("A", "default")], json!({"kind": "X", "a": "${A}"}));
    let with = |argument: &str| template.process(&[argument]).unwrap()["items"][0]["a"].clone();
    for value in ["new", "", "a=b;c=d", " \n", "=", "${A}", "💥"] {
        assert_eq!(with(&format!("A={value}")), value);
    }
}

#[test]
fn an_argument_that_is_unknown_repeated_or_none_is_refused() {
    let template = template(&[("A", "1"), ("B", "2")], json!({"kind": "X"}));
    let error = |arguments: &[&str]| template.process(arguments).unwrap_err();
    assert!(matches!(error(&["C=1"]), Error::Unknown(name) if name == "C"));
    assert!(matches!(error(&["a=1"]), Error::Unknown(name) if name == "a"));
    assert!(matches!(error(&["=1"]), Error::Unknown(name) if name.is_empty()));
    assert!(matches!(error(&["A=1", "B=1", "A=1"]), Error::Twice(name) if name == "A"));
    for argument in ["A", "", "A:1"] {
        assert!(matches!(error(&[argument]), Error::Assignment(text) if text == argument));
    }
}

#[test]
fn a_required_parameter_needs_a_value_from_somewhere() {
    let template = parse(json!({
        "parameters": [
            {"name": "A", "required": true}, {"name": "B", "required": true, "value": "b"},
            {"name": "C", "required": true}, {"name": "D"},
        ],
        "objects": [{"kind": "X", "a": "${A}"}],
    }));
    let missing = |arguments: &[&str]| match template.process(arguments).unwrap_err() {
        Error::Required(names) => names.join(" "),
        other => panic!("{other}"),
    };
    assert_eq!(missing(&[]), "A C");
    assert_eq!(missing(&["A=1", "C="]), "C");
    assert_eq!(missing(&["A=1", "C=1", "B="]), "B");
    assert!(template.process(&["A=1", "C= "]).is_ok());
}

#[test]
fn a_generated_value_must_be_given_here() {
    let template = parse(json!({
        "parameters": [{"name": "A", "generate": "expression", "from": "[a-z]{8}", "required": true}],
        "objects": [{"kind": "X", "a": "${A}"}],
    }));
    assert!(matches!(
        template.process(&NOTHING),
        Err(Error::Generated(..))
    ));
    assert_eq!(template.process(&["A=x"]).unwrap()["items"][0]["a"], "x");
    // An empty one that is given is not generated, so it is missing.
    assert!(matches!(template.process(&["A="]), Err(Error::Required(_))));
}

#[test]
fn labels_are_added_to_each_object_and_win_and_reach_no_pod_template() {
    let pod = json!({"metadata": {"labels": {"app": "x"}}});
    let template = parse(json!({
        "parameters": [{"name": "A", "value": "a"}],
        "labels": {"added": "${A}", "${A}": "${{A}}", "same": "theirs"},
        "objects": [
            {"kind": "X", "metadata": {"labels": {"own": "1", "same": "mine"}}, "template": pod},
            {"kind": "Y"},
            {"kind": "Z", "metadata": {"labels": {"own": 1, "lost": "too"}}},
        ],
    }));
    let items = template.process(&NOTHING).unwrap()["items"].clone();
    let added = json!({"added": "a", "a": "a", "same": "theirs"});
    assert_eq!(
        items[0]["metadata"]["labels"],
        json!({"own": "1", "added": "a", "a": "a", "same": "theirs"})
    );
    assert_eq!(items[0]["template"], pod);
    assert_eq!(items[1]["metadata"]["labels"], added);
    assert_eq!(items[2]["metadata"]["labels"], added);
}

#[test]
fn a_namespace_that_is_written_out_goes_and_one_of_a_parameter_stays() {
    let namespace = |written: Value| {
        let object = json!({"kind": "X", "metadata": {"namespace": written}});
        let list = template(&[("A", "home")], object)
            .process(&NOTHING)
            .unwrap();
        list["items"][0]["metadata"].get("namespace").cloned()
    };
    assert_eq!(namespace(json!("fixed")), None);
    assert_eq!(namespace(json!("${A}")), Some(json!("home")));
    assert_eq!(namespace(json!("x-${A}")), Some(json!("x-home")));
    assert_eq!(namespace(json!("${{A}}")), None);
    assert_eq!(namespace(json!(7)), None);
}

#[test]
fn what_is_no_template_is_refused() {
    let yaml = |text: &str| Template::parse(text).unwrap_err();
    assert!(matches!(yaml("a: b: c"), Error::Yaml(_)));
    assert!(matches!(yaml(""), Error::Yaml(_) | Error::Shape(_)));
    assert!(matches!(yaml("[]"), Error::Shape(_)));
    let head = "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {}\n";
    let with = |more: &str| yaml(&format!("{head}{more}"));
    assert!(matches!(with(""), Error::Shape(_)), "no objects");
    assert!(matches!(
        with("objects: []\nparameter: []"),
        Error::Shape(_)
    ));
    for parameter in [
        "{name: A, value: 1}",
        "{name: A, value: true}",
        "{name: A, descripton: x}",
        "{value: x}",
        "{name: A, required: 'true'}",
    ] {
        let error = with(&format!("objects: []\nparameters: [{parameter}]"));
        assert!(matches!(error, Error::Shape(_)), "{parameter}: {error}");
    }
    let twice = with("objects: []\nparameters: [{name: A}, {name: B}, {name: A}]");
    assert!(matches!(twice, Error::Declared(name) if name == "A"));
    for name in ["''", "A-B", "'A B'", "É"] {
        let error = with(&format!("objects: []\nparameters: [{{name: {name}}}]"));
        assert!(matches!(error, Error::Name(_)), "{name}: {error}");
    }
    let kind = yaml("apiVersion: v1\nkind: List\nmetadata: {}\nobjects: []");
    assert!(matches!(kind, Error::Kind { .. }));
    let no_kind = parse(json!({"objects": [{"kind": "A"}, {"metadata": {}}]}));
    assert!(matches!(no_kind.process(&NOTHING), Err(Error::NoKind(1))));
}

#[test]
fn the_form_of_openshift_3_still_works() {
    let old = Template::parse("apiVersion: v1\nkind: Template\nmetadata: {}\nobjects: []");
    assert!(old.is_ok());
}
