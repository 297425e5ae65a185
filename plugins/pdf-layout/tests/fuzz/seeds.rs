//! What cases begin with: small files by hand, one for each part of the format, and those of the corpus
//! where it is there.

use std::path::{Path, PathBuf};

use crate::contents;
use crate::file::File;

/// Files of the corpus that are larger are left out: changed, they only take long.
const CORPUS_BYTES_MAX: u64 = 200 << 10;

/// A file of pages, of which `resources` and `contents` are those of each.
fn with_pages(contents: &[Vec<u8>], resources: &str, page: &str, catalog: &str) -> File {
    let mut file = File::new();
    file.add(format!("<</Type/Catalog/Pages 2 0 R{catalog}>>"));
    let kids: Vec<String> = (0..contents.len())
        .map(|n| format!("{} 0 R", 3 + 2 * n))
        .collect();
    let (kids, count) = (kids.join(" "), contents.len());
    file.add(format!("<</Type/Pages/Kids[{kids}]/Count {count}>>"));
    for (n, content) in contents.iter().enumerate() {
        let number = 4 + 2 * n;
        file.add(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {number} 0 R\
             /Resources<<{resources}>>{page}>>"
        ));
        file.add_stream("", content.clone());
    }
    file
}

/// A page: what is added gets numbers from 5 on.
fn with_page(content: impl Into<Vec<u8>>, resources: &str, page: &str, catalog: &str) -> File {
    with_pages(&[content.into()], resources, page, catalog)
}

const HELVETICA: &str = "/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\
    /F2<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>\
    /F3<</Type/Font/Subtype/Type1/BaseFont/Courier>>>>";

/// A file by hand: its name, and what makes it.
type Named = (&'static str, fn() -> File);

/// The hand-made ones, each with its name.
pub(crate) fn by_hand() -> Vec<(&'static str, File)> {
    let named: [Named; 23] = [
        ("text", text),
        ("running heads", running_heads),
        ("tables", tables),
        ("fonts", fonts),
        ("type 3", type3),
        ("forms", forms),
        ("tagged", tagged),
        ("images", images),
        ("inline images", inline_images),
        ("filters", filters),
        ("layers", layers),
        ("annotations", annotations),
        ("fields", fields),
        ("outline", outline),
        ("cycles", cycles),
        ("deep", deep),
        ("deep content", deep_content),
        ("numbers", numbers),
        ("turned", turned),
        ("page tree", page_tree),
        ("encrypted", encrypted),
        ("forged", forged),
        ("claims", claims),
    ];
    named
        .into_iter()
        .map(|(name, make)| (name, make()))
        .collect()
}

fn text() -> File {
    with_page(
        contents::article(),
        HELVETICA,
        "",
        "/Lang(en)/PageMode/UseOutlines",
    )
}

fn running_heads() -> File {
    let pages: Vec<Vec<u8>> = (1..=12).map(contents::numbered_page).collect();
    with_pages(&pages, HELVETICA, "", "")
}

fn tables() -> File {
    with_page(contents::tables(), HELVETICA, "", "")
}

fn encrypted() -> File {
    let mut file = text();
    file.is_encrypted = true;
    file
}

/// Text that means something to who reads the Markdown.
fn forged() -> File {
    let lines = [
        "<!-- page 7 -->",
        "---",
        "title: not ours",
        "kbhost-output:images/p001-01.png",
        "![x]\\(kbhost-output:a.png\\)",
        "```",
        "<!-- page 8 -->",
        "# no heading",
        "[a]: <kbhost-output:b>",
        "| a | b |",
        "| --- | --- |",
        "<script>alert\\(1\\)</script>",
        "[[a wiki link]]",
    ];
    let mut content = "BT /F1 10 Tf 30 TL 50 750 Td ".to_owned();
    for font in ["F1", "F3"] {
        for line in lines {
            content.push_str(&format!("/{font} 10 Tf ({line}) ' "));
        }
    }
    with_page(content + "ET", HELVETICA, "", "")
}

/// Fonts that claim widths for all numbers there are.
fn claims() -> File {
    let content = "BT /F1 9 Tf 9 700 Td (a) Tj /F2 9 Tf (b) Tj /F3 9 Tf (c) Tj ET";
    let mut file = with_page(content, "/Font<</F1 5 0 R/F2 6 0 R/F3 7 0 R>>", "", "");
    file.add("<</Subtype/Type0/Encoding/Identity-H/DescendantFonts[<</Subtype/CIDFontType2/W[0 65535 5]>>]>>");
    file.add("<</Subtype/Type0/Encoding/Identity-V/DescendantFonts[<</Subtype/CIDFontType0/W2[0 4294967295 1 2 3]>>]>>");
    file.add("<</Subtype/TrueType/FirstChar 2147483647/LastChar 2147483649/Widths[500 500]>>");
    file
}

fn turned() -> File {
    let page = "/Rotate 90/UserUnit 2/CropBox[500 700 -10 20]";
    let content = "BT /F1 12 Tf 0 1 -1 0 300 100 Tm (up) Tj 1 0 0 1 50 50 Tm (level) Tj \
        -1 0 0 -1 200 200 Tm (down) Tj .7 .7 -.7 .7 100 300 Tm (slanted) Tj 1 0 .3 1 9 9 Tm (it) Tj ET";
    with_page(content, HELVETICA, page, "")
}

fn fonts() -> File {
    let resources = "/Font<</F1 5 0 R/F2 6 0 R/F3 9 0 R/F4 11 0 R/F5 13 0 R>>";
    let content = "BT /F1 12 Tf 50 700 Td (Words \\200\\341 fi) Tj /F2 12 Tf 0 -20 Td \
        <000100020003FFFF> Tj /F3 9 Tf 0 -20 Td <82a082a200410042> Tj /F4 9 Tf 0 -20 Td <0041> Tj \
        /F5 30 Tf 0 -40 Td (\\001\\002ab) Tj ET";
    let mut file = with_page(content, resources, "", "");
    file.add(
        "<</Type/Font/Subtype/TrueType/BaseFont/ABCDEF+Arial-Bold/FirstChar 32/LastChar 40\
         /Widths[278 278 355 556 -5 1e9 0 191 333]/Encoding<</BaseEncoding/WinAnsiEncoding\
         /Differences[128/fi/ffl 200/uni0041/u1F600/g12/.notdef 300/A]>>\
         /FontDescriptor<</Type/FontDescriptor/Flags 262148/FontWeight 700/ItalicAngle -12\
         /FontBBox[0 0 1000 1000]/Ascent 800/Descent -200/MissingWidth 400>>>>",
    );
    file.add(
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 8 0 R\
         /DescendantFonts[7 0 R]>>",
    );
    file.add(
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)\
         /Ordering(Identity)/Supplement 0>>/DW 500/W[1[200 300] 5 9 700 10 4 1]/CIDToGIDMap/Identity>>",
    );
    file.add_stream(
        "",
        "/CIDInit/ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> \
         endcodespacerange 3 beginbfchar <0001> <0041> <0002> <D83DDE00> <0003> <00660066006C> \
         endbfchar 2 beginbfrange <0010> <0020> <0061> <0030> <FFFF> [<0031> <0032>] endbfrange \
         /Other usecmap endcmap",
    );
    file.add(
        "<</Type/Font/Subtype/Type0/BaseFont/HeiseiMin-W3/Encoding/90ms-RKSJ-H/DescendantFonts[10 0 R]>>",
    );
    file.add(
        "<</Type/Font/Subtype/CIDFontType0/BaseFont/HeiseiMin-W3/CIDSystemInfo<</Registry(Adobe)\
         /Ordering(Japan1)/Supplement 2>>/DW2[880 -1000]/W2[1[-500 250 772]]>>",
    );
    file.add(
        "<</Type/Font/Subtype/Type0/BaseFont/V/Encoding/UniJIS-UTF16-V/DescendantFonts[10 0 R]>>",
    );
    file.add_stream(
        "/Type/CMap/CMapName/Own/UseCMap 12 0 R",
        "begincmap endcmap",
    );
    file.add(
        "<</Type/Font/Subtype/Type1/BaseFont/Odd/FontDescriptor<</Flags 4/FontFile 14 0 R\
         /FontFile2 14 0 R/FontFile3 15 0 R>>>>",
    );
    file.add_stream(
        "/Length1 40/Length2 40/Length3 0",
        "%!PS-AdobeFont-1.0: Odd\n/FontMatrix[0 0 0 0 0 0]def eexec zzzz",
    );
    file.add_stream(
        "/Subtype/Type1C",
        b"\x01\x00\x04\x01\x00\x01\x01\x01\x04Odd\0\0\0\0\0\0\0\0".to_vec(),
    );
    file
}

fn type3() -> File {
    let resources = "/Font<</T 5 0 R>>";
    let content = "BT /T 10 Tf 50 700 Td (ab ab) Tj /T 0.01 Tf 0 -20 Td (ba) Tj ET";
    let mut file = with_page(content, resources, "", "");
    file.add(
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 0 0]/FontMatrix[.01 0 0 .01 0 0]/FirstChar 97\
         /LastChar 98/Widths[60 70]/Encoding<</Differences[97/square/own]>>\
         /CharProcs<</square 6 0 R/own 7 0 R>>/Resources<</Font<</T 5 0 R>>>>/ToUnicode 8 0 R>>",
    );
    file.add_stream("", "60 0 0 0 50 50 d1 0 0 50 50 re f");
    // Its letter is drawn with the font itself.
    file.add_stream("", "70 0 d0 BT /T 10 Tf (ab) Tj ET");
    file.add_stream(
        "",
        "begincmap 1 beginbfchar <61> <00660069> endbfchar endcmap",
    );
    file
}

fn forms() -> File {
    let resources = format!("{HELVETICA}/XObject<</A 5 0 R/B 6 0 R/C 7 0 R>>");
    let content = "q 1 0 0 1 20 20 cm /A Do Q /B Do /C Do BT /F1 9 Tf 9 9 Td (after) Tj ET";
    let mut file = with_page(content, &resources, "", "");
    let form = "/Type/XObject/Subtype/Form/BBox[0 0 500 500]";
    let own = "/Matrix[1 0 0 1 5 5]/Resources<</XObject<</A 5 0 R/B 6 0 R>>>>";
    // The first draws itself and the second twice, the second the first: without a bound 2^depth.
    file.add_stream(&format!("{form}{own}"), "q /A Do /B Do /B Do Q");
    file.add_stream(&format!("{form}{own}"), "/A Do /A Do /B Do");
    file.add_stream(
        &format!("{form}/StructParents 3/Group<</S/Transparency>>"),
        "/P<</MCID 1>>BDC BT /F1 12 Tf 30 30 Td (in a form) Tj ET EMC Q Q Q q q BT",
    );
    file
}

fn tagged() -> File {
    let resources = format!("{HELVETICA}/Properties<</M<</MCID 4/ActualText(read)>>>>");
    let content = "/H1<</MCID 0>>BDC BT /F2 18 Tf 50 700 Td (A head) Tj ET EMC \
        /P<</MCID 1>>BDC BT /F1 10 Tf 50 670 Td (Words of a) Tj 0 -12 Td (paragraph) Tj ET EMC \
        /Span<</ActualText<FEFF00410042>>>BDC BT /F1 10 Tf 50 640 Td (xyz) Tj ET EMC \
        /Artifact BMC BT /F1 8 Tf 300 20 Td (12) Tj ET EMC /TD<</MCID 2>>BDC BT /F1 10 Tf \
        50 600 Td (cell) Tj ET EMC /TD/M BDC BT /F1 10 Tf 150 600 Td (other) Tj ET EMC EMC EMC";
    let catalog = "/MarkInfo<</Marked true>>/StructTreeRoot 5 0 R";
    let mut file = with_page(content, &resources, "/StructParents 0", catalog);
    file.add(
        "<</Type/StructTreeRoot/K[6 0 R 7 0 R 8 0 R 5 0 R]/ParentTree 9 0 R\
         /RoleMap<</Head/H1/Loop/Pool/Pool/Loop>>>>",
    );
    file.add("<</Type/StructElem/S/Head/P 5 0 R/Pg 3 0 R/K 0/Alt(x)/T(a title)>>");
    file.add("<</Type/StructElem/S/P/P 5 0 R/Pg 3 0 R/K[1<</Type/MCR/Pg 3 0 R/MCID 1>> 7 0 R]>>");
    file.add(
        "<</Type/StructElem/S/Table/P 5 0 R/K[<</S/TR/K[<</S/TD/Pg 3 0 R/K 2/A<</O/Table/ColSpan 3\
         /RowSpan 99999>>>><</S/TD/Pg 3 0 R/K 4>>]>><</S/Loop/K 8 0 R>><</S/L/K[<</S/LI/K[<</S/Lbl/K 1>>\
         <</S/LBody/Pg 3 0 R/K 1>>]>>]>>]>>",
    );
    file.add("<</Kids[9 0 R]/Nums[0[6 0 R 7 0 R 8 0 R]]>>");
    file
}

fn images() -> File {
    let resources =
        "/XObject<</A 5 0 R/B 6 0 R/C 7 0 R/D 8 0 R/E 9 0 R/F 10 0 R/G 11 0 R/H 12 0 R>>";
    let content = "q 90 0 0 90 10 10 cm /A Do Q q 90 0 0 90 110 10 cm /B Do Q q 90 0 0 90 210 10 cm \
        /C Do Q q 90 0 0 90 310 10 cm /D Do Q q 90 0 0 90 10 210 cm /E Do /F Do /G Do /H Do Q";
    let mut file = with_page(content, resources, "", "");
    let image = |size: usize, rest: &str| {
        format!("/Type/XObject/Subtype/Image/Width {size}/Height {size}{rest}")
    };
    let data = |bytes: usize| -> Vec<u8> { (0..bytes).map(|n| (n * 37 % 251) as u8).collect() };
    let rgb = image(
        40,
        "/BitsPerComponent 8/ColorSpace/DeviceRGB/SMask 6 0 R/Mask[0 9 0 9 0 9]",
    );
    file.add_stream(&rgb, data(40 * 40 * 3));
    file.add_stream(
        &image(40, "/BitsPerComponent 8/ColorSpace/DeviceGray/Matte[0 0 0]"),
        data(1_600),
    );
    let indexed =
        "/BitsPerComponent 4/ColorSpace[/Indexed[/ICCBased 5 0 R]300<00ff00ff>]/Decode[15 0]";
    file.add_stream(&image(40, indexed), data(800));
    file.add_stream(
        &image(
            40,
            "/BitsPerComponent 16/ColorSpace/DeviceCMYK/Decode[1 0 1 0]",
        ),
        data(12_800),
    );
    file.add_stream(
        &image(40, "/ImageMask true/BitsPerComponent 1/Decode[1 0]"),
        data(200),
    );
    // More than there is, and more than there can be.
    file.add_stream(
        &image(2_000_000_000, "/BitsPerComponent 8/ColorSpace/DeviceRGB"),
        data(20),
    );
    let own = "/BitsPerComponent 8/ColorSpace[/DeviceN[/A/B/C]/DeviceRGB<</FunctionType 4/Domain[0 1]\
        /Range[0 1]>>]/SMask 11 0 R";
    file.add_stream(&image(33, own), data(3_300));
    file.add_stream(
        &image(
            40,
            "/BitsPerComponent 8/ColorSpace[/Separation/Spot 12 0 R 12 0 R]",
        ),
        data(1_600),
    );
    file
}

fn filters() -> File {
    let names = [
        "FlateDecode",
        "LZWDecode",
        "ASCIIHexDecode",
        "ASCII85Decode",
        "RunLengthDecode",
        "CCITTFaxDecode",
        "DCTDecode",
        "JPXDecode",
        "JBIG2Decode",
        "Crypt",
        "None",
    ];
    let resources: String = (0..names.len())
        .map(|n| format!("/I{n} {} 0 R", n + 5))
        .collect();
    let content: String = (0..names.len())
        .map(|n| format!("q 99 0 0 99 9 9 cm /I{n} Do Q "))
        .collect();
    let mut file = with_page(content, &format!("/XObject<<{resources}>>"), "", "");
    for (name, data) in names.iter().zip(contents::filtered()) {
        let decode = "/DecodeParms<</Predictor 15/Columns 40/Colors 3/K -1/EarlyChange 0/Rows 40>>";
        let entries = format!(
            "/Subtype/Image/Width 40/Height 40/BitsPerComponent 8/ColorSpace/DeviceGray\
             /Filter[/{name}]{decode}"
        );
        file.add_stream(&entries, data);
    }
    file
}

fn inline_images() -> File {
    let content = b"q 40 0 0 40 9 9 cm BI /W 4 /H 4 /BPC 8 /CS /G ID 0123456789abcdef EI Q \
        BI /W 99999 /H 99999 /IM true /D [1 0] ID xx EI BI /W 2/H 2/CS/RGB/BPC 8/F[/AHx/LZW] ID ffEI> EI \
        BT /F1 9 Tf 9 99 Td (EI after) Tj ET BI /W -1 /H 0 ID EI".to_vec();
    with_page(content, HELVETICA, "", "")
}

fn layers() -> File {
    let resources = format!("{HELVETICA}/Properties<</L 5 0 R/M 6 0 R/N 7 0 R>>");
    let content = "/OC/L BDC BT /F1 9 Tf 9 9 Td (hidden) Tj ET EMC /OC/M BDC BT /F1 9 Tf 9 40 Td \
        (of two) Tj ET EMC /OC/N BDC BT /F1 9 Tf 9 80 Td (shown) Tj ET EMC";
    let catalog = "/OCProperties<</OCGs[5 0 R 7 0 R]/D<</BaseState/OFF/ON[7 0 R]/OFF[5 0 R]/Order[[5 0 R]]>>>>";
    let mut file = with_page(content, &resources, "", catalog);
    file.add("<</Type/OCG/Name(layer)>>");
    file.add("<</Type/OCMD/OCGs[5 0 R 7 0 R 6 0 R]/P/AnyOn/VE[/Not[/And 6 0 R]]>>");
    file.add("<</Type/OCG/Name(shown)/OC 7 0 R>>");
    file
}

fn annotations() -> File {
    let page = "/Annots[5 0 R 6 0 R 7 0 R 8 0 R 9 0 R null 5 3 0 R]";
    let mut file = with_page(contents::article(), HELVETICA, page, "");
    file.add("<</Subtype/Link/Rect[40 690 300 720]/A<</S/URI/URI(https://example.org/a\\)b)>>>>");
    file.add(
        "<</Subtype/Link/Rect[40 600 300 620]/Dest[3 0 R/XYZ 0 null 0]/A<</S/GoTo/D(there)>>>>",
    );
    file.add("<</Subtype/Text/Rect[1e30 -1e30 0 0]/Contents(a note)/T(somebody)/Popup 7 0 R/Parent 7 0 R/IRT 7 0 R>>");
    file.add("<</Subtype/FreeText/Rect[9 9 99 99]/Contents<FEFF0661D83D>/AP<</N 8 0 R>>>>");
    file.add("<</Subtype/Link/Rect[9 9]/A<</S/URI/URI(javascript:alert\\(1\\))/Next 9 0 R>>>>");
    file
}

fn fields() -> File {
    let page = "/Annots[6 0 R 7 0 R 8 0 R]";
    let catalog = "/AcroForm<</Fields[5 0 R 5 0 R]/DA(/F1 0 Tf)>>";
    let mut file = with_page("", HELVETICA, page, catalog);
    file.add("<</T(all)/Kids[6 0 R 7 0 R 8 0 R 5 0 R]/Parent 6 0 R/FT/Tx/V(inherited)>>");
    file.add("<</Subtype/Widget/T(name)/V(Ada \\(1815\\))/FT/Tx/Rect[9 9 99 30]/Parent 5 0 R>>");
    file.add("<</Subtype/Widget/T(choice)/V[(a)(b)]/Opt[[(a)(An a)](b)]/FT/Ch/Rect[9 40 99 60]/Parent 7 0 R>>");
    file.add("<</Subtype/Widget/AS/On/V/On/FT/Btn/Ff 65536/Rect[9 70 99 90]/Parent 5 0 R/AP<</N<</On 4 0 R>>>>>>");
    file
}

fn outline() -> File {
    let catalog = "/Outlines 5 0 R/Names<</Dests 9 0 R>>/Dests<</old[3 0 R/Fit]>>/PageLabels<</Nums[0<</S/r>>]>>";
    let mut file = with_page(contents::article(), HELVETICA, "", catalog);
    file.trailer = "/Info 11 0 R".to_owned();
    file.add("<</Type/Outlines/First 6 0 R/Last 8 0 R/Count 3>>");
    file.add("<</Title(One)/Parent 5 0 R/Next 7 0 R/First 8 0 R/Dest(there)/Count -1>>");
    file.add("<</Title<FEFF00540077006F>/Parent 5 0 R/Next 6 0 R/A<</S/GoTo/D[3 0 R/FitH 9999999999]>>>>");
    file.add("<</Title(\\377\\376a\\000)/Parent 8 0 R/First 8 0 R/Next 8 0 R/Dest/old/SE 6 0 R>>");
    file.add("<</Kids[10 0 R 9 0 R]>>");
    file.add("<</Limits[(a)(z)]/Names[(there)<</D[3 0 R/XYZ 1 2 3]>>(loop)(loop)(odd)]>>");
    file.add("<</Title(A \\\\\\) title)/Author<FEFFD800>/CreationDate(D:20261301256199+99'99)/Keywords 11 0 R>>");
    file
}

fn cycles() -> File {
    let mut file = File::new();
    file.add(
        "<</Type/Catalog/Pages 2 0 R/Outlines 1 0 R/StructTreeRoot 1 0 R/K 1 0 R/Metadata 5 0 R>>",
    );
    file.add("<</Type/Pages/Kids[3 0 R 2 0 R 3 0 R]/Count 3/Parent 2 0 R/Resources 4 0 R>>");
    file.add(
        "<</Type/Page/Parent 2 0 R/Contents[5 0 R 6 0 R[5 0 R]]/Annots 7 0 R/MediaBox 8 0 R>>",
    );
    file.add("<</Font<</F1 4 0 R/F2 9 0 R>>/XObject 4 0 R/ExtGState 4 0 R/Properties 4 0 R>>");
    file.add_stream(
        "/Length 5 0 R",
        "BT /F1 9 Tf (a) Tj /F2 9 Tf (b) Tj ET /F1 Do",
    );
    file.add_stream("/Filter 6 0 R/DecodeParms 6 0 R/F 6 0 R", "/P/F1 BDC EMC");
    file.add("[7 0 R 7 0 R]");
    file.add("8 0 R");
    file.add("<</Type/Font/Subtype/Type0/DescendantFonts[9 0 R]/Encoding 9 0 R/ToUnicode 5 0 R/Widths 7 0 R>>");
    file.trailer = "/Prev 0/Info 8 0 R/XRefStm 15".to_owned();
    file
}

fn deep() -> File {
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    let mut file = with_page(
        contents::article(),
        HELVETICA,
        "/Annots 5 0 R",
        "/Outlines 6 0 R/StructTreeRoot 7 0 R",
    );
    file.add(nested("[", "]", 3_000));
    file.add(format!("<</First {}>>", nested("<</First", ">>", 3_000)));
    file.add(format!("<</K {}>>", nested("<</S/P/K", ">>", 1_500)));
    file.add(format!("({})", nested("(", ")", 3_000)));
    file
}

fn deep_content() -> File {
    let content = [
        "q ".repeat(3_000),
        "/Span BMC ".repeat(3_000),
        "BT /F1 9 Tf 9 9 Td (deep) Tj ET ".to_owned(),
        "[".repeat(2_000),
        " TJ ".to_owned(),
        "<<".repeat(2_000),
        " EMC ".repeat(10),
        "Q ".repeat(4_000),
    ];
    with_page(content.concat(), HELVETICA, "", "")
}

fn numbers() -> File {
    with_page(
        contents::numbers(),
        HELVETICA,
        "/Rotate 1e9/UserUnit -1e38",
        "",
    )
}

fn page_tree() -> File {
    let mut file = File::new();
    file.add("<</Type/Catalog/Pages 2 0 R>>");
    // A chain of nodes, each with a page beside the next node, and boxes that are inherited.
    for n in 0..60 {
        let (node, page, next) = (2 + 2 * n, 3 + 2 * n, 4 + 2 * n);
        file.add(format!(
            "<</Type/Pages/Kids[{page} 0 R {next} 0 R]/Count {}/MediaBox[0 0 {n} 1e7]>>",
            -n
        ));
        file.add(format!(
            "<</Type/Page/Parent {node} 0 R/Contents[{page} 0 R null {next} 0 R]/Rotate {}>>",
            n * 90
        ));
    }
    file
}

/// Files of the repository's examples and, where it is there, of the corpus; sorted.
pub(crate) fn from_disk() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in [
        "examples/docs",
        "../shared/corpus/robust",
        "../shared/corpus/pdf",
    ] {
        collect(&root.join(folder), 0, &mut files);
    }
    files.sort();
    files
}

fn collect(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && depth < 3 {
            collect(&path, depth + 1, files);
        } else if path.extension().is_some_and(|extension| extension == "pdf")
            && path
                .metadata()
                .is_ok_and(|data| data.len() <= CORPUS_BYTES_MAX)
        {
            files.push(path);
        }
    }
}
