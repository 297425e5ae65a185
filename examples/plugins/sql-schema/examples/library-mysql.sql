-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: library
-- ------------------------------------------------------
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;

DROP TABLE IF EXISTS `authors`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `authors` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(120) COLLATE utf8mb4_unicode_ci NOT NULL COMMENT 'As printed, e.g. O''Brien; A|B',
  `born` year DEFAULT NULL,
  `created` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name_born` (`name`,`born`),
  FULLTEXT KEY `name_text` (`name`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='Who wrote it';

LOCK TABLES `authors` WRITE;
/*!40000 ALTER TABLE `authors` DISABLE KEYS */;
INSERT INTO `authors` VALUES (1,'O\'Brien; DROP TABLE x',1939,'2024-01-01 00:00:00'),(2,'B\\',NULL,'2024-01-01 00:00:00');
/*!40000 ALTER TABLE `authors` ENABLE KEYS */;
UNLOCK TABLES;

CREATE TABLE `books` (
  `isbn` char(13) NOT NULL,
  `author_id` int unsigned DEFAULT NULL,
  `format` enum('paper','e-book') NOT NULL DEFAULT 'paper',
  `price` decimal(8,2) DEFAULT '0.00',
  `meta` json DEFAULT NULL,
  PRIMARY KEY (`isbn`),
  KEY `author` (`author_id`),
  CONSTRAINT `book_author` FOREIGN KEY (`author_id`) REFERENCES `authors` (`id`) ON DELETE SET NULL,
  CONSTRAINT `price_sane` CHECK ((`price` >= 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
/*!50100 PARTITION BY KEY ()
PARTITIONS 4 */;

/*!50001 CREATE VIEW `cheap` AS SELECT
 1 AS `isbn`*/;

DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `books_check` BEFORE INSERT ON `books` FOR EACH ROW BEGIN
  SET NEW.price = IFNULL(NEW.price, 0);
END */;;
DELIMITER ;

/*!50001 DROP VIEW IF EXISTS `cheap`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `cheap` AS select `books`.`isbn` AS `isbn` from `books` where (`books`.`price` < 5) */;

-- Dump completed on 2024-05-01 12:00:00
