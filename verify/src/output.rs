//! What a test program prints: its tests one after the other, and between them what they say.
//!
//! A test that prints past the harness does so behind its own name, and its result then stands on a
//! line by itself.

/// What was printed so far.
#[derive(Default)]
pub struct Output {
    passed: Vec<String>,
    failed: Option<String>,
    /// The test that is running.
    open: Option<String>,
    /// All other lines.
    said: Vec<String>,
}

impl Output {
    /// Takes in a line.
    pub fn add(&mut self, line: &str) {
        match begun(line) {
            Some((name, rest)) => {
                self.open = Some(name.to_owned());
                if !rest.is_empty() {
                    self.result_or_said(rest);
                }
            }
            None => self.result_or_said(line),
        }
    }

    fn result_or_said(&mut self, line: &str) {
        let result = line == "ok" || line == "FAILED" || line.starts_with("ignored");
        match self.open.take_if(|_| result) {
            Some(name) if line == "ok" => self.passed.push(name),
            Some(name) if line == "FAILED" => self.failed = self.failed.take().or(Some(name)),
            Some(_) => {}
            None => self.said.push(line.to_owned()),
        }
    }

    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The test that a failed run was in: the one that failed, or else the one that never ended.
    pub fn culprit(&self) -> Option<&str> {
        self.failed.as_deref().or(self.open.as_deref())
    }

    pub fn passed(&self) -> &[String] {
        &self.passed
    }

    pub fn said(&self) -> &[String] {
        &self.said
    }
}

/// The test that a line begins, and what follows on the line.
fn begun(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("test ")?;
    let alone = || line.strip_suffix(" ...").map(|name| (name, ""));
    let (name, rest) = line.split_once(" ... ").or_else(alone)?;
    Some((name.trim_end_matches(" - should panic"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        let mut output = Output::default();
        text.lines().for_each(|line| output.add(line));
        output
    }

    #[test]
    fn the_culprit_is_named() {
        let culprit = |text| output(text).culprit().map(String::from);
        assert_eq!(culprit("test a::b ... ok\ntest a::c ... FAILED\nx").unwrap(), "a::c");
        assert_eq!(culprit("test a::b ... ok\ntest a::c ...\nx").unwrap(), "a::c");
        assert_eq!(culprit("test a::d - should panic ... scene x: 1").unwrap(), "a::d");
        assert_eq!(culprit("test a::b ... scene x: 1\nFAILED\ntest c ...").unwrap(), "a::b");
        assert_eq!(culprit("test a::b ... ok\nerror: something else"), None);
        assert_eq!(culprit("FAILED"), None);
        assert_eq!(culprit("test result: ok. 3 passed"), None);
    }

    #[test]
    fn tests_and_what_they_say_are_told_apart() {
        let text = "test a::b ... ok\ntest c - should panic ... ok\ntest d ... ignored, why\n\
                    test e ... scene e: 1\nscene e: 2\nok\ntest f ... \nok\nmodel g: 3";
        let output = output(text);
        assert_eq!(output.passed(), ["a::b", "c", "e", "f"]);
        assert_eq!(output.said(), ["scene e: 1", "scene e: 2", "model g: 3"]);
        assert!(!output.has_failed() && output.culprit().is_none());
    }
}
