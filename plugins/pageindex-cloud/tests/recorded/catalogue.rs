//! What the service has.

use super::*;

#[test]
fn the_catalogue_lists_in_stretches() {
    let documents = |from: usize, count: usize| {
        let document = |n| json!({"id": format!("d{n}"), "name": format!("a\\{n}.pdf"), "status": "queued", "pageNum": 3});
        let listed: Vec<_> = (from..from + count).map(document).collect();
        [ok(&json!({"documents": listed, "total": 999}))]
    };
    let mut service = Recorded::default()
        .with("GET /docs/?limit=100&offset=5", documents(5, 100))
        .with("GET /docs/?limit=20&offset=105", documents(105, 7));
    let listed = catalog::documents(&mut Api::new(&mut service), 5, 120).unwrap();
    assert_eq!(listed.len(), 107);
    let last = listed.last().unwrap();
    assert_eq!((last.id.as_str(), last.name.as_str()), ("d111", "111.pdf"));
    assert_eq!((last.state, last.pages), (State::Queued, Some(3)));
    assert_eq!(service.calls.len(), 2);

    // A service that sends more than was asked for, and for ever.
    let mut service = Recorded::default().with("GET /docs/?limit=2&offset=0", documents(0, 50));
    assert_eq!(
        catalog::documents(&mut Api::new(&mut service), 0, 2)
            .unwrap()
            .len(),
        2
    );

    for wrong in [json!({}), json!({"documents": 1}), json!([1])] {
        let mut service = Recorded::default().with("GET /docs/?limit=2&offset=0", [ok(&wrong)]);
        let listed = catalog::documents(&mut Api::new(&mut service), 0, 2);
        assert!(matches!(listed, Err(ConvertError::Upstream(_))), "{wrong}");
    }
    // Nobody can ask for it, and the others are listed.
    let mut service = Recorded::default().with(
        "GET /docs/?limit=2&offset=0",
        [ok(&json!([{"name": "x"}, {"id": "d1"}]))],
    );
    let listed = catalog::documents(&mut Api::new(&mut service), 0, 2).unwrap();
    let ids: Vec<_> = listed.iter().map(|document| &*document.id).collect();
    assert_eq!(ids, ["", "d1"]);
}

#[test]
fn the_catalogue_tells_of_one() {
    for (word, state) in [
        ("queued", State::Queued),
        ("processing", State::Processing),
        ("completed", State::Completed),
        ("failed", State::Failed),
        ("odd", State::Unknown),
    ] {
        let metadata = json!({"status": word, "description": "a\nb"});
        let mut service = Recorded::default().with(METADATA, [ok(&metadata)]);
        let found = catalog::status(&mut Api::new(&mut service), "pi-1").unwrap();
        assert_eq!((found.state, found.name.as_str()), (state, "pi-1"));
        assert_eq!(found.description.as_deref(), Some("a b"));
    }
    let mut service = Recorded::default();
    let error = catalog::status(&mut Api::new(&mut service), "pi-1");
    assert!(matches!(error, Err(ConvertError::NotFound(text)) if text.contains("pi-1")));
}
