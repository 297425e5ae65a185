//! A local file: sent, waited for, found again, forgotten.

use super::*;

#[test]
fn an_upload_is_sent_kept_waited_for_and_imported() {
    let mut service = Recorded::small().with_polls(&["queued", "processing", "processing"]);
    let document = upload(None, &mut service).unwrap();
    assert_eq!(document.name.as_deref(), Some("a.pdf"));
    assert!(document.warnings.is_empty());
    let file = FormValue::InputFile("in.pdf".to_owned());
    let retrieval = FormValue::Text("true".to_owned());
    let form = [
        ("file".to_owned(), file),
        ("if_retrieval".to_owned(), retrieval),
    ];
    assert_eq!(service.form, form);
    assert_eq!(
        service.calls,
        [UPLOAD, TREE, TREE, TREE, TREE, METADATA, PAGES]
    );
    assert_eq!(service.pauses, [1_000, 2_000, 5_000]);
    assert_eq!(
        service.checkpoints,
        [br#"{"v":1,"doc_id":"pi-1"}"#.to_vec()]
    );
    let notes = [
        "sent to the service",
        "queued by the service",
        "in work at the service",
    ];
    assert_eq!(service.notes[..3], notes);
}

#[test]
fn an_interrupted_wait_goes_on_with_the_same_document() {
    let state = r#"{"v":1,"doc_id":"pi-1"}"#;
    let mut service = Recorded::small().with_polls(&["processing", "processing"]);
    service.cancelled_in_pause = Some(1);
    assert_eq!(upload(None, &mut service), Err(ConvertError::Cancelled));
    assert_eq!(service.checkpoints, [state.as_bytes()]);

    let mut service = Recorded::small().with_polls(&["processing"]);
    upload(Some(state), &mut service).unwrap();
    assert_eq!(service.calls, [TREE, TREE, METADATA, PAGES]);
    assert!(service.checkpoints.is_empty());

    // A state that is not ours is none.
    let mut service = Recorded::small();
    upload(Some("{\"v\":2}"), &mut service).unwrap();
    assert_eq!(service.count(UPLOAD), 1);
}

#[test]
fn what_the_service_lost_is_sent_again_once() {
    let state = r#"{"v":1,"doc_id":"lost"}"#;
    let mut service = Recorded::small();
    upload(Some(state), &mut service).unwrap();
    let lost = "GET /doc/lost/?type=tree&summary=true";
    assert_eq!(service.calls, [lost, UPLOAD, TREE, METADATA, PAGES]);
    let kept = br#"{"v":1,"doc_id":"pi-1"}"#.to_vec();
    assert_eq!(service.checkpoints, [Vec::new(), kept]);

    let mut service = Recorded::small().with(TREE, [status(404, "gone")]);
    let error = upload(Some(state), &mut service).unwrap_err();
    assert!(matches!(error, ConvertError::NotFound(_)), "{error:?}");
    assert_eq!(service.count(UPLOAD), 1);
}

#[test]
fn a_failed_document_is_forgotten_and_other_errors_keep_it() {
    let state = br#"{"v":1,"doc_id":"pi-1"}"#.to_vec();
    let failed = || ok(&json!({"status": "failed"}));
    let check = |answer: Answer, forgotten: bool| {
        let mut service = Recorded::small().with(TREE, [answer.clone()]);
        assert!(upload(None, &mut service).is_err());
        let mut expected = vec![state.clone()];
        expected.extend(forgotten.then(Vec::new));
        assert_eq!(service.checkpoints, expected, "{answer:?}");
    };
    check(failed(), true);
    check(Err(CloudError::Timeout), false);
    check(Err(CloudError::Cancelled), false);
    check(status(401, ""), false);
    check(status(500, ""), false);
    check(status(429, ""), false);
    // What would be answered the same the next time.
    check(status(400, ""), true);
    check(status(410, ""), true);
    check(ok(&json!({"status": "completed"})), true);
    check(ok(&json!([1])), true);

    // A document of the service that failed: no checkpoint to forget.
    for call in [METADATA, TREE] {
        let mut service = Recorded::small().with(call, [failed()]);
        let (document, _) = remote(&mut service);
        assert!(matches!(document, Err(ConvertError::Upstream(_))), "{call}");
        assert!(service.checkpoints.is_empty());
    }
}

#[test]
fn a_wait_ends_at_last() {
    let mut service = Recorded::small().with(TREE, [ok(&json!({"status": "processing"}))]);
    assert_eq!(upload(None, &mut service), Err(ConvertError::Timeout));
    assert_eq!(service.count(TREE), 120);
    assert_eq!(service.pauses.iter().max(), Some(&15_000));
    assert_eq!(service.checkpoints.len(), 1);
}

#[test]
fn what_was_not_kept_and_what_is_no_pdf_is_told() {
    let mut service = Recorded {
        keeps_nothing: true,
        ..Recorded::small()
    };
    assert_eq!(upload(None, &mut service).unwrap().warnings.len(), 1);

    let file = SourceFile {
        name: "a.docx".to_owned(),
        media_type: "application/x".to_owned(),
        size: 1,
        sha256: String::new(),
    };
    let mut service = Recorded::small();
    let (document, _) = run(Source::File(file), None, &mut service);
    assert!(matches!(document, Err(ConvertError::Unsupported(_))));
    assert!(service.calls.is_empty());

    for answer in [json!({}), json!({"doc_id": 7}), json!({"doc_id": "a b"})] {
        let mut service = Recorded::small().with(UPLOAD, [ok(&answer)]);
        let error = upload(None, &mut service);
        assert!(matches!(error, Err(ConvertError::Upstream(_))), "{answer}");
        assert!(service.checkpoints.is_empty());
    }
}
